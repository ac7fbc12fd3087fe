package place

import "github.com/qrgate/qrgate/server/portal/sheet"

// maxRows is how many places a sheet may hold.
const maxRows = 2000

// maxSheet is the largest file in bytes.
const maxSheet = 2 << 20

// places is what a sheet of places is like.
var places = sheet.Form{
	Columns: columns, Heading: "sheet.", Must: "name",
	MaxRows: maxRows, MaxBytes: maxSheet, MaxUnpacked: 12 << 20, MaxTags: 600_000,
}

// columns are those that come in and go out, in order.
var columns = []sheet.Column{
	{Key: "name", Known: []string{"ten", "ten dia diem", "name", "place"}, Width: 34},
	{Key: "kind", Known: []string{"loai", "loai hinh", "kind", "type"}, Width: 24},
	{Key: "sector", Known: []string{"nganh", "linh vuc", "sector"}, Width: 24},
	{Key: "commune", Known: []string{"xa", "phuong", "xa phuong", "phuong xa", "phuong/xa", "commune", "ward"}, Width: 26},
	{Key: "street", Known: []string{"dia chi", "duong", "so nha", "street", "address"}, Width: 32},
	{Key: "lat", Known: []string{"vi do", "lat", "latitude"}, Width: 12},
	{Key: "lon", Known: []string{"kinh do", "lon", "lng", "longitude"}, Width: 12},
	{Key: "person", Known: []string{"phu trach", "nguoi phu trach", "lien he", "person"}, Width: 24},
	{Key: "phone1", Known: []string{"dien thoai", "so dien thoai", "sdt", "phone"}, Width: 15},
	{Key: "phone2", Known: []string{"dien thoai 2", "phone 2"}, Width: 15},
	{Key: "phone3", Known: []string{"dien thoai 3", "phone 3"}, Width: 15},
	{Key: "email", Known: []string{"email", "e-mail", "thu dien tu"}, Width: 26},
	{Key: "capacity", Known: []string{"suc chua", "capacity"}, Width: 10},
	{Key: "doors", Known: []string{"so cua", "cua", "doors"}, Width: 8},
	{Key: "hours", Known: []string{"gio mo cua", "hours", "opening hours"}, Width: 34},
}
