//go:build unix && !linux

package plugins

import "syscall"

// isolated puts the child into a process group of its own, so that Ctrl-C on the hub's terminal reaches the hub only.
func isolated() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func killGroup(pid int) { syscall.Kill(-pid, syscall.SIGKILL) }
