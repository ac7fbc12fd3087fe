// Package bare is what the screen of a kiosk says while no browser draws on it: that the
// kiosk is starting, or why there is no page, whether the door works all the same, and
// what to do.
//
//	k := bare.Kernel{Frame: "/dev/fb0", Terminal: "/dev/tty0"}
//	err := bare.Run(ctx, bare.Options{Console: k, Browser: ..., Door: ..., Release: "1.2.0", Log: log})
//
// Its promise: a screen that is on is never without words for longer than a moment while no
// browser has it, whatever the browser died of, and never in the way of one that works. It
// draws into the kernel's own picture, which the kernel shows while nobody else has the
// screen: it neither asks for the screen nor takes it from anybody. Nothing but the kernel
// takes part: letters are its own, since the kernel's console has no Vietnamese ones.
//
// It leaves out who starts the browser again (the unit), and what is on the page (packages
// screen and start). On a screen that no kernel has a picture of, it waits.
package bare
