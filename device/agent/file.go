package agent

// ReplaceFile replaces the file at path so that a power cut leaves the old content
// or the new, and returns when the new one is on disk. It is for one writer.
func ReplaceFile(path string, b []byte) error { return writeFile(path, b) }
