package plugins

import "syscall"

// isolated puts the child into a process group of its own, so that Ctrl-C on the hub's terminal reaches the hub only,
// and lets the kernel kill it when the thread that starts it ends.
func isolated() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func killGroup(pid int) { syscall.Kill(-pid, syscall.SIGKILL) }
