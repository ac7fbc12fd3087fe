package office_test

import (
	"strings"
	"testing"

	"github.com/qrgate/qrgate/server/qrgate"
)

// An administrator says who is a member of which association, and nobody else does.
func TestAssociations(t *testing.T) {
	w := newWorld(t)
	root, lan := w.person("root", all(qrgate.Administrator)), w.person("lan")
	hoi, market := w.organisation(lan, "Hiệp hội Du lịch Huế"), w.organisation(lan, "Chợ Đông Ba")
	b := w.as(root)
	b.get("/hiep-hoi").want(t, "none", 200, "Chưa có hội nào")
	b.get("/hiep-hoi?tim=du+lich").want(t, "found", 200, "/hiep-hoi/"+hoi, "!"+market)
	at := "/hiep-hoi/" + hoi
	b.get(at+"?tim=dong+ba").want(t, "a candidate", 200, `value="`+market+`"`)
	b.get(at+"?tim=hiep+hoi").want(t, "itself", 200, "Không có tổ chức nào")
	b.follow(b.post(at, "viec", "them", "to_chuc", market)).want(t, "added", 200, "Đã thêm hội viên", "Chợ Đông Ba")
	b.get(at+"?tim=dong+ba").want(t, "a member", 200, "Không có tổ chức nào")
	b.get("/hiep-hoi").want(t, "listed", 200, "Hiệp hội Du lịch Huế", "!Chưa có hội nào")
	b.follow(b.post(at, "viec", "bo", "to_chuc", market)).want(t, "removed", 200, "Đã bỏ hội viên", "Chưa có hội viên")
	for _, bad := range [][2]string{{"them", hoi}, {"kick", market}, {"", market}, {"them", ""}, {"them", "\xff"}, {"them", strings.Repeat("a", 500)}} {
		b.post(at, "viec", bad[0], "to_chuc", bad[1]).want(t, bad[0]+" "+bad[1], 400)
	}
	b.post(at, "viec", "them", "to_chuc", "nobody").want(t, "of nobody", 404)
	b.post("/hiep-hoi/nobody", "viec", "them", "to_chuc", market).want(t, "to nobody", 404)
	b.get("/hiep-hoi/nobody").want(t, "no association", 404)
	officer := w.as(lan)
	officer.get("/hiep-hoi").want(t, "an owner", 403)
	officer.post(at, "viec", "them", "to_chuc", market).want(t, "an owner adds", 403)
}
