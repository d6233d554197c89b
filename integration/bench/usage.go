package main

import (
	"fmt"
	"time"

	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
	"github.com/sluicehub/sluice/plugins"
)

// usage is what a hub and its children have used since watch.
type usage struct {
	w             *worker.Worker
	hub, children time.Duration
	startHub      time.Duration
	startChildren map[int]time.Duration
	hubPeak       int   // MB
	childrenPeak  []int // MB
}

// watch begins to count.
func watch(w *worker.Worker) (*usage, error) {
	u := &usage{w: w, startChildren: make(map[int]time.Duration)}
	var err error
	if u.startHub, err = cpu(w.PID()); err != nil {
		return nil, err
	}
	children, err := w.Children()
	if err != nil {
		return nil, err
	}
	for _, pid := range children {
		if u.startChildren[pid], err = cpu(pid); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// update counts up to now. Children that have come since watch count whole.
func (u *usage) update() error {
	now, err := cpu(u.w.PID())
	if err != nil {
		return err
	}
	u.hub = now - u.startHub
	if u.hubPeak, err = peak(u.w.PID()); err != nil {
		return err
	}
	children, err := u.w.Children()
	if err != nil {
		return err
	}
	u.children, u.childrenPeak = 0, nil
	for _, pid := range children {
		mb, err := peak(pid)
		now, resident := plugins.Usage(pid)
		if resident == 0 {
			continue // it is just ending
		}
		if err != nil {
			return err
		}
		u.children += now - u.startChildren[pid]
		u.childrenPeak = append(u.childrenPeak, mb)
	}
	return nil
}

func (u *usage) memory() string {
	if u.w == nil {
		return ""
	}
	return fmt.Sprintf("%d, %v", u.hubPeak, u.childrenPeak)
}

// cpu is the processor time that a process has used.
func cpu(pid int) (time.Duration, error) {
	used, resident := plugins.Usage(pid)
	if resident == 0 {
		return 0, fmt.Errorf("process %d is gone", pid)
	}
	return used, nil
}

// peak is the largest resident memory that a process has had, in MB.
func peak(pid int) (int, error) {
	bytes, err := services.PeakMemory(pid)
	return int(bytes >> 20), err
}
