package services

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// process is one line of the process table. Its start time tells it from a
// later one with the same number.
type process struct {
	pid, parent int
	state       byte
	started     string
}

// readProcess reads /proc/PID/stat:
//
//	pid (name) state ppid … starttime …
//	1    2     3     4      22
//
// The name may hold spaces and parentheses; what follows the last one does not.
func readProcess(pid int) (process, bool) {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return process{}, false
	}
	end := bytes.LastIndexByte(b, ')')
	f := bytes.Fields(b[end+1:])
	if end < 0 || len(f) < 20 {
		return process{}, false
	}
	parent, err := strconv.Atoi(string(f[1]))
	if err != nil {
		return process{}, false
	}
	return process{pid: pid, parent: parent, state: f[0][0], started: string(f[19])}, true
}

func processTable() []process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var table []process
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			if p, ok := readProcess(pid); ok {
				table = append(table, p)
			}
		}
	}
	return table
}

// tree returns the process and all its descendants.
func tree(root int) []process {
	table := processTable()
	var found []process
	for _, p := range table {
		if p.pid == root {
			found = append(found, p)
		}
	}
	for i := 0; i < len(found); i++ {
		for _, p := range table {
			if p.parent == found[i].pid && !slices.Contains(found, p) {
				found = append(found, p)
			}
		}
	}
	return found
}

// Children returns the numbers of the processes that the one with this number
// has started and that still are its own.
func Children(pid int) ([]int, error) {
	table := processTable()
	if len(table) == 0 {
		return nil, errors.New("services: no process table in /proc")
	}
	var children []int
	for _, p := range table {
		if p.parent == pid {
			children = append(children, p.pid)
		}
	}
	return children, nil
}

// Family returns the numbers of the process with this number and of all that
// descend from it.
func Family(pid int) []int {
	var all []int
	for _, p := range tree(pid) {
		all = append(all, p.pid)
	}
	return all
}

// PeakMemory returns the largest resident memory that the process with this
// number has had, in bytes: VmHWM of proc_pid_status(5).
func PeakMemory(pid int) (int64, error) {
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(status, []byte("VmHWM:"))
	var kilobytes int64
	if _, err := fmt.Fscan(bytes.NewReader(rest), &kilobytes); err != nil {
		return 0, fmt.Errorf("services: process %d has no VmHWM: %w", pid, err)
	}
	return kilobytes << 10, nil
}

// Running tells whether the process with this number runs. One that has ended
// and only waits for its parent to notice does not.
func Running(pid int) bool {
	p, ok := readProcess(pid)
	return ok && p.running()
}

// killTree ends the process and all its descendants with SIGKILL, at the same
// moment for all of them: they are stopped first, so that none can answer the
// death of another or fork while the rest is being found.
func killTree(root int) []process {
	var all []process
	for {
		found := tree(root)
		grown := false
		for _, p := range found {
			if !slices.ContainsFunc(all, p.is) {
				syscall.Kill(p.pid, syscall.SIGSTOP)
				all, grown = append(all, p), true
			}
		}
		if !grown {
			break
		}
	}
	for _, p := range all {
		syscall.Kill(p.pid, syscall.SIGKILL)
	}
	return all
}

func (p process) is(q process) bool { return p.pid == q.pid && p.started == q.started }

func (p process) running() bool { return p.state != 'Z' && p.state != 'X' }

// alive tells whether the process still runs.
func (p process) alive() bool {
	now, ok := readProcess(p.pid)
	return ok && now.is(p) && now.running()
}

// waitGone waits until none of the processes runs.
func waitGone(ctx context.Context, processes []process) error {
	return poll(ctx, "processes to end", 5*time.Millisecond, func(context.Context) error {
		for _, p := range processes {
			if p.alive() {
				return fmt.Errorf("process %d still runs", p.pid)
			}
		}
		return nil
	})
}
