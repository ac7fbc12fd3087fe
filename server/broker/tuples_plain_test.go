//go:build !full

package broker_test

// tuples is how many the broker is asked; with the tag full it is the promised number.
const tuples = 600
