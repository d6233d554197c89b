package plugins

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// ticksPerSecond is the unit of the times in /proc/PID/stat, which Linux fixes for user space (USER_HZ).
const ticksPerSecond = 100

// Usage returns the CPU time that a process has used so far and its resident memory in bytes; zeros for a process that
// is gone. It reads /proc/PID/stat: fields 14 and 15 are the CPU time in user and kernel mode, field 24 the resident
// pages (proc_pid_stat(5)).
func Usage(pid int) (cpu time.Duration, resident int64) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0
	}
	// The second field is the program's name in parentheses, which may hold anything.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 22 {
		return 0, 0
	}
	number := func(field int) int64 {
		n, err := strconv.ParseInt(string(fields[field-3]), 10, 64)
		if err != nil {
			return 0
		}
		return n
	}
	return time.Duration(number(14)+number(15)) * time.Second / ticksPerSecond, number(24) * int64(os.Getpagesize())
}
