package desk

// String returns the word as it is said, in Vietnamese and in English.
func (w Word) String() string {
	if said, ok := sentences[w]; ok {
		return said
	}
	return string(w)
}

var sentences = map[Word]string{
	Waiting:   "Xin quét mã trên màn hình, ở trang “Máy quét tại bàn” / Scan the code on the page “Scanner at the desk”",
	Joined:    "Đã nối với trang. Xin quét giấy tờ / Joined to the page. Scan papers",
	Sent:      "Đã gửi một mã / One code sent",
	NotSent:   "Không gửi được mã vừa quét. Xin quét lại / The code was not sent. Scan it again",
	Unread:    "Mã vừa quét bị hỏng. Xin quét lại / That was no whole code. Scan it again",
	Untaken:   "Trang chưa lấy các mã trước. Xin xem trang / The page has not taken the codes before. Look at the page",
	Again:     "Đã nối lại / Connected again",
	NoNetwork: "Không nối được máy chủ, đang thử lại / The server cannot be reached, trying again",
	Untrusted: "Không tin được chứng thư của máy chủ. Xin báo quản trị; xem thêm: -ca / The server's certificate is not trusted. Tell the administrator; see -ca",
	Stranger:  "Máy chủ này không phải máy chủ ghi trong mã. Xin không quét giấy tờ / This is not the server that the code names. Scan nothing",
	Used:      "Mã này đang dùng ở máy khác. Xin tạo mã mới / Another computer uses this code. Make a new one",
	Parted:    "Trang đã ngắt máy quét. Muốn quét tiếp, xin nối lại / The page has parted from the scanner. Join again to go on",
	TooOld:    "Mã hết hạn hoặc trang đã đóng. Xin tạo mã mới / The code has ended. Make a new one",
}
