package guide

// A Pin is one wire of the drawing in the guide.
type Pin struct {
	Part      string // as the boot partition's file names it
	Line      string // as the kiosk's program and the board's maker name it
	Header    int    // number of the pin on the board's 40-pin header
	Input     bool
	ActiveLow bool
}

// Pins is the wiring that the guide draws and that a kiosk has whose file on the boot
// partition names the parts. Outputs are lines that the board holds low until the program
// has them: nothing lights, and no lock has current, while it starts.
func Pins() []Pin {
	return []Pin{
		{Part: "red", Line: "GPIO17", Header: 11},
		{Part: "amber", Line: "GPIO27", Header: 13},
		{Part: "green", Line: "GPIO22", Header: 15},
		{Part: "buzzer", Line: "GPIO23", Header: 16},
		{Part: "relay", Line: "GPIO24", Header: 18},
		{Part: "fire", Line: "GPIO25", Header: 22, Input: true},
		{Part: "button", Line: "GPIO16", Header: 36, Input: true, ActiveLow: true},
	}
}

// Wired returns what the boot partition's file calls the parts: "lamps" are three.
func Wired() []string { return []string{"lamps", "buzzer", "relay", "fire", "button"} }
