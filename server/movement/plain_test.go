//go:build !full

package movement_test

// seeds is how many days are made up for each property.
const seeds = 1
