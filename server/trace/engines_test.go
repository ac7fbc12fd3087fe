//go:build !full

package trace_test

var engines = []engine{sqlite}

// inStore is how many check-ins the province has that is put into a store.
const inStore = 20_000
