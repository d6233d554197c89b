package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// garbage is how much garbage may lie about in the hub, in percent of what is in use, unless GOGC says otherwise. What
// is in use is bounded by each task's buffers (hub/clients.go, hub/sourcetask.go: about 130 MB with a source and four
// sink tasks whose targets do not answer); Go's default of 100 doubles that, to more than the 300 MB a hub may have.
// A share of what is in use grows with the number of tasks. A limit (GOMEMLIMIT) would not: a hub with more tasks than
// the limit was made for would spend its CPU on collecting what is no garbage. Who knows the tasks may set both.
const garbage = 50

// leastGarbage is how much may lie about however little is in use, in bytes. A share of little is little: with 10 MB in
// use a registry at 25,000 requests a second would collect more than ten times a second, which takes a tenth of its CPU
// and shows in the slowest answers.
const leastGarbage = 32 << 20

// paceGarbage keeps the share at what is right for what is in use, from now on. It begins with garbage itself: what is
// in use is not known before the first collection.
func paceGarbage() {
	debug.SetGCPercent(garbage)
	p := &pacer{percent: garbage, set: func(percent int) { debug.SetGCPercent(percent) }}
	p.await()
}

// pacer sets the share after each collection. The runtime runs it, never twice at once.
type pacer struct {
	percent int
	set     func(percent int)
}

// await has the next collection followed by a pace: it finds an object that nobody holds.
func (p *pacer) await() { runtime.AddCleanup(&struct{ *pacer }{p}, (*pacer).pace, p) }

func (p *pacer) pace() {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	want := garbageFor(sample[0].Value.Uint64())
	if want*10 < p.percent*9 || want*9 > p.percent*10 { // each change stops the world for some microseconds
		p.percent = want
		p.set(want)
	}
	p.await()
}

// garbageFor returns the share for so many bytes in use.
func garbageFor(live uint64) (percent int) {
	return max(garbage, int(leastGarbage*100/max(live, 1<<20)))
}
