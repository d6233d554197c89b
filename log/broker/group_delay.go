package broker

// beginDelay lets the first rebalance of a group wait for more members, which come one after another when many are
// started at once: as long as some come, at most for the rebalance timeout.
func (g *group) beginDelay() {
	g.delaying, g.delayLeft = true, g.longestRebalance()
	g.goOnDelaying()
}

func (g *group) goOnDelaying() {
	d := min(g.delay, g.delayLeft)
	g.delayMore, g.delayLeft = false, g.delayLeft-d
	g.startTimer(d, g.delayTimeout)
}

func (g *group) delayTimeout(generation int32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state != statePreparing || g.generation != generation || !g.delaying {
		return
	}
	if g.delayMore && g.delayLeft > 0 {
		g.goOnDelaying()
		return
	}
	g.delaying = false
	g.startTimer(g.longestRebalance(), g.joinTimeout)
	g.rebalance()
}
