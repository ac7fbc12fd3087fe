package stage

// StartUnder starts the kiosk under a launcher, whose flags are given.
func (k *Kiosk) StartUnder(launcher string, flags ...string) (*Process, error) {
	return k.stage.start(k.ID, launcher, append(append(flags, "--", "run", "-config", k.config()), k.run...)...)
}
