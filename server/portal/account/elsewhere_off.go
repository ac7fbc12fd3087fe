//go:build !openid

package account

import (
	"errors"
	"net/http"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
)

// A client speaks with another system, which a build without the tag openid
// cannot: package signin says until when there is one.
type client struct{}

func newClient(p Provider, _ string) (client, error) {
	if p.Issuer != "" {
		return client{}, errors.New("this build has no OpenID Connect; it needs the tag openid")
	}
	return client{}, nil
}

func (d *Desk) elsewhere(http.ResponseWriter, *http.Request, *page.View) error {
	return qrgate.ErrNotFound
}

func (d *Desk) fromElsewhere(http.ResponseWriter, *http.Request, *page.View) error {
	return qrgate.ErrNotFound
}
