package update

import (
	_ "github.com/theupdateframework/go-tuf/v2/metadata"
	_ "github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
	_ "github.com/theupdateframework/go-tuf/v2/metadata/updater"
)
