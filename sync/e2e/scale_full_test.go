//go:build full

package e2e_test

// scans is how many people come while the kiosk is offline.
const scans = 5000
