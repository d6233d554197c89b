//go:build !linux

package plugins

// releasePages does nothing: it is not known how on this system.
func releasePages() {}
