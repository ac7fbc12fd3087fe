// Package twin is a machine as a kiosk's is, without one: a small virtual machine in
// which the kernel shows the devices of a door and the kiosk's real program runs, with
// the server's real program outside.
//
//	kernel: sync/e2e/twin/kernel.sh build/twin, once
//	m := twin.Start(t, twin.Options{Kernel: "build/twin", Programs: p})
//	m.Serial("QG1...")           // from a scanner on a serial line
//	m.Levels("GREEN")            // "010": a lamp was on once
//	m.Cut()                      // the power
//
// It needs qemu and no KVM: whether a machine has a KVM that works cannot be told
// from its looks, and plain emulation boots in seconds.
//
// The disk is served by the test itself (type Disk), because killing qemu is no power
// cut: what the machine wrote would still be in the host's cache. Of what was written
// since the last flush each sector is kept, torn or lost, as chance has it.
//
// Beside the tests it is the guest, package twin/guest, that makes the devices inside.
package twin
