package main

import (
	"context"

	"github.com/qrgate/qrgate/hw/panel"
)

// releaseRelay takes the current from the relay of a program that is gone. Kernels differ in
// whether a line that nobody holds keeps what it was.
func releaseRelay(_ context.Context, env environment) error {
	c, err := configured(env.path)
	if err != nil || !c.GPIO {
		return err
	}
	return panel.Release(c.Panel)
}
