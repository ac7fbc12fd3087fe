package pairing

import (
	"crypto/ed25519"
	"crypto/sha256"
	"strings"
)

// list is 256 everyday words, a byte each. No two are the same without their
// marks, so that they are told apart on a poor screen, over the telephone and by
// whoever reads no Vietnamese.
var list = strings.Fields(`
cá gà bò mèo chó voi cọp gấu thỏ chim vịt ngỗng dê cừu ngựa khỉ
rùa rắn ếch cua tôm mực ốc sò kiến ong bướm nhện muỗi chuột cây hoa
cỏ lá rễ trái hạt mầm tre trúc thông sen mai đào cúc hồng huệ bưởi
cam chanh quýt ổi xoài mít dừa chuối táo lê nho khế vải nhãn lúa ngô
khoai sắn đậu rau bí bầu mướp cải hành tỏi gừng nghệ tiêu đường mật sữa
trứng cơm phở bún cháo xôi chả nem giò bánh kẹo mứt trà nước rượu núi
sông biển hồ suối rừng đồng ruộng vườn trời đất trăng sao nắng mưa mây sương
tuyết bão sấm chớp khói cát sỏi đá vàng bạc sắt chì nhà tường ngói cột
cầu thang phòng bếp giếng làng đình chùa tháp trường lớp bảng phấn bút sách vở
thư giấy bàn ghế tủ giường chiếu gối chăn màn đèn nến quạt gương lược kim
nón áo quần khăn dép tất túi ví xe tàu thuyền phà bè lái ray bến
trống chiêng đàn kèn chuông tranh ảnh kịch cười vui một hai ba bốn năm sáu
bảy tám chín trăm nghìn đỏ xanh tím nâu xám tay mũi miệng tai răng tóc
lưng cuốc xẻng búa đục rổ thúng nồi bát thìa thớt ấm chén ly khay lọ
bình xô chậu xuân hạ sáng trưa ngày đêm tuần phút dưới trên ngoài gần cao
rộng hẹp dài ngắn tròn vuông nhẹ nhanh chậm mới cũ ngọt thơm ngủ đi chạy
`)

// Words returns the four words that kiosk and portal show: 32 bits of a hash over
// the code and the key that asked with it. Whoever stands between the two and asks
// with another key makes them differ. Making a key whose words are the same takes
// four thousand million of them, and the kiosk's own key, which travels sealed.
func Words(c Code, key ed25519.PublicKey) string {
	h := sha256.New()
	h.Write([]byte("qrgate enrolment words v1\x00"))
	h.Write(c.Token[:])
	h.Write(c.Fingerprint[:])
	h.Write(key)
	sum := h.Sum(nil)
	four := make([]string, 4)
	for i := range four {
		four[i] = list[sum[i]]
	}
	return strings.Join(four, " ")
}

// List returns the words, one for each byte.
func List() []string { return list }
