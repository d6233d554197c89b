package broker

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// groupState is a state of the classic group protocol, under Kafka's names.
type groupState string

const (
	stateEmpty      groupState = "Empty"
	statePreparing  groupState = "PreparingRebalance"  // waiting for members to join
	stateCompleting groupState = "CompletingRebalance" // waiting for the leader's assignment
	stateStable     groupState = "Stable"
	stateDead       groupState = "Dead"
)

// group is one consumer group of the classic protocol. All of it is guarded by mu.
//
//	Empty ──join──▶ PreparingRebalance ──all joined, or time is up──▶ CompletingRebalance ──leader's sync──▶ Stable
//	  ▲                  ▲    │                                            │                                │
//	  └──nobody left─────┼────┘◀──────────── join, leave, session expired ─┴────────────────────────────────┘
type group struct {
	id     string
	logger *slog.Logger
	store  groupStore

	mu           sync.Mutex
	state        groupState
	since        time.Time // in this state
	kept         bool      // there is a record of the group
	saved        durable   // the last record that was written, nil none
	generation   int32
	protocolType string
	protocol     string
	leader       string
	members      map[string]*member
	static       map[string]string    // group.instance.id → member id
	pendingIDs   map[string]time.Time // ids handed out with MEMBER_ID_REQUIRED, until when they may be used
	timer        *time.Timer          // ends PreparingRebalance, or CompletingRebalance
	delay        time.Duration        // how long the first rebalance waits for more members
	delaying     bool                 // PreparingRebalance is the first and still waits
	delayMore    bool                 // somebody joined since the wait began
	delayLeft    time.Duration        // for how long it may begin again, in all
}

// member is one member of a group.
type member struct {
	id, clientID, clientHost string
	instanceID               *string
	session, rebalance       time.Duration
	protocols                []kmsg.JoinGroupRequestProtocol
	assignment               []byte
	told                     []byte // the last assignment that it may know of
	expiry                   *time.Timer
	seen                     time.Time
	join                     chan *kmsg.JoinGroupResponse // waiting in a rebalance, else nil
	sync                     chan *kmsg.SyncGroupResponse // waiting for an assignment, else nil
}

func newGroup(id string, logger *slog.Logger, delay time.Duration, store groupStore) *group {
	return &group{id: id, logger: logger, delay: delay, store: store, state: stateEmpty, since: time.Now(), members: make(map[string]*member),
		static: make(map[string]string), pendingIDs: make(map[string]time.Time)}
}

// to moves the group to a state.
func (g *group) to(state groupState) { g.state, g.since = state, time.Now() }

// close answers everybody who waits, and stops the timers.
func (g *group) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dissolve(kerr.CoordinatorNotAvailable.Code)
}

// dissolve ends the group, and tells those who wait why.
func (g *group) dissolve(why int16) {
	g.stopTimer()
	for _, m := range g.members {
		m.expiry.Stop()
		m.answerJoin(joinError(why, m.id))
		m.answerSync(syncError(why))
	}
	g.to(stateDead)
}

func newMemberID(clientID string) string {
	var b [16]byte
	rand.Read(b[:])
	return fmt.Sprintf("%s-%x-%x-%x-%x-%x", clientID, b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func joinError(code int16, memberID string) *kmsg.JoinGroupResponse {
	r := kmsg.NewPtrJoinGroupResponse()
	r.ErrorCode, r.MemberID, r.Generation = code, memberID, -1
	r.Protocol = nil // from version 7 on; an empty text before
	return r
}

func syncError(code int16) *kmsg.SyncGroupResponse {
	r := kmsg.NewPtrSyncGroupResponse()
	r.ErrorCode = code
	r.MemberAssignment = []byte{}
	return r
}

func (m *member) answerJoin(r *kmsg.JoinGroupResponse) {
	if m.join != nil {
		m.join <- r // has room for the one answer
		m.join = nil
	}
}

func (m *member) answerSync(r *kmsg.SyncGroupResponse) {
	if m.sync != nil {
		m.sync <- r
		m.sync = nil
	}
}

// check says why a request that names a member and a generation is not valid, or 0.
func (g *group) check(memberID string, instanceID *string, generation int32) int16 {
	if g.state == stateDead {
		return kerr.CoordinatorNotAvailable.Code
	}
	if instanceID != nil {
		id, ok := g.static[*instanceID]
		if !ok {
			return kerr.UnknownMemberID.Code
		}
		if id != memberID {
			return kerr.FencedInstanceID.Code
		}
	}
	if g.members[memberID] == nil {
		return kerr.UnknownMemberID.Code
	}
	if generation != g.generation {
		return kerr.IllegalGeneration.Code
	}
	return 0
}

// watchMember begins the session of m.
func (g *group) watchMember(m *member) {
	m.seen = time.Now()
	m.expiry = time.AfterFunc(m.session, func() { g.expire(m) })
}

// heard notes a sign of life of m and winds its session anew.
func (g *group) heard(m *member) {
	m.seen = time.Now()
	m.expiry.Reset(m.session)
}

// expire removes m if it has not been heard of for its session timeout. A member that waits in a rebalance is alive:
// its connection is open.
func (g *group) expire(m *member) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.members[m.id] != m || m.join != nil || time.Since(m.seen) < m.session {
		return
	}
	g.logger.Info("group member expired", "group", g.id, "member", m.id, "session.timeout", m.session)
	g.remove(m)
	g.rebalance()
}

// remove takes m out of the group.
func (g *group) remove(m *member) {
	m.expiry.Stop()
	m.answerJoin(joinError(kerr.UnknownMemberID.Code, m.id))
	m.answerSync(syncError(kerr.UnknownMemberID.Code))
	delete(g.members, m.id)
	if m.instanceID != nil && g.static[*m.instanceID] == m.id {
		delete(g.static, *m.instanceID)
	}
	if g.leader == m.id {
		g.leader = ""
	}
}

// rebalance begins a rebalance, or completes it where nobody is waited for.
func (g *group) rebalance() {
	switch g.state {
	case stateStable, stateCompleting, stateEmpty:
		if len(g.members) == 0 && g.state != stateEmpty {
			g.becomeEmpty()
			return
		}
		for _, m := range g.members {
			m.answerSync(syncError(kerr.RebalanceInProgress.Code))
		}
		first := g.state == stateEmpty
		g.to(statePreparing)
		if first && g.delay > 0 {
			g.beginDelay()
			return
		}
		g.startTimer(g.longestRebalance(), g.joinTimeout)
	case statePreparing:
		g.delayMore = true
	}
	if g.state == statePreparing && (!g.delaying || len(g.members) == 0) && g.allJoined() {
		g.completeJoin()
	}
}

func (g *group) becomeEmpty() {
	g.stopTimer()
	g.to(stateEmpty)
	g.leader, g.protocol = "", ""
	g.generation++
	g.then(g.save(), func(err error) {
		if err != nil {
			g.logger.Warn("that a group is empty cannot be written; after a restart its last members are in it until their sessions end", "group", g.id, "error", err)
		}
	})
}

func (g *group) allJoined() bool {
	for _, m := range g.members {
		if m.join == nil {
			return false
		}
	}
	return true
}

func (g *group) longestRebalance() time.Duration {
	d := time.Duration(0)
	for _, m := range g.members {
		d = max(d, m.rebalance)
	}
	return d
}

func (g *group) startTimer(d time.Duration, f func(generation int32)) {
	g.stopTimer()
	generation := g.generation
	g.timer = time.AfterFunc(d, func() { f(generation) })
}

func (g *group) stopTimer() {
	if g.timer != nil {
		g.timer.Stop()
		g.timer = nil
	}
}

// joinTimeout goes on without the members that have not joined again in time. Static members stay.
func (g *group) joinTimeout(generation int32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state != statePreparing || g.generation != generation {
		return
	}
	for _, m := range g.members {
		if m.join == nil && m.instanceID == nil {
			g.logger.Info("group member did not join the rebalance in time", "group", g.id, "member", m.id)
			g.remove(m)
		}
	}
	g.completeJoin()
}

// completeJoin ends PreparingRebalance: a new generation, one protocol that all support, a leader that is told of
// all members.
func (g *group) completeJoin() {
	g.stopTimer()
	g.delaying = false
	if len(g.members) == 0 {
		g.becomeEmpty()
		return
	}
	g.generation++
	g.to(stateCompleting)
	g.protocol = g.vote()
	if m := g.members[g.leader]; m == nil || m.join == nil {
		g.leader = g.anyJoined()
	}
	if g.leader == "" { // only static members that are away
		g.startTimer(g.longestRebalance(), g.syncTimeout)
		return
	}
	for _, m := range g.members {
		m.assignment = nil
		g.heard(m)
		m.answerJoin(g.joined(m, false))
	}
	g.startTimer(g.longestRebalance(), g.syncTimeout)
}

// anyJoined returns the id of the first member, by id, that waits in the rebalance.
func (g *group) anyJoined() string {
	leader := ""
	for id, m := range g.members {
		if m.join != nil && (leader == "" || id < leader) {
			leader = id
		}
	}
	return leader
}

// syncTimeout removes the members that have not asked for their assignment in time.
func (g *group) syncTimeout(generation int32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state != stateCompleting || g.generation != generation {
		return
	}
	for _, m := range g.members {
		if m.sync == nil {
			g.remove(m)
		}
	}
	g.rebalance()
}

// joined is the answer to m's JoinGroup in the present generation.
func (g *group) joined(m *member, skipAssignment bool) *kmsg.JoinGroupResponse {
	r := kmsg.NewPtrJoinGroupResponse()
	r.Generation, r.LeaderID, r.MemberID = g.generation, g.leader, m.id
	r.ProtocolType, r.Protocol = kmsg.StringPtr(g.protocolType), kmsg.StringPtr(g.protocol)
	r.SkipAssignment = skipAssignment
	if m.id != g.leader {
		return r
	}
	for _, id := range g.memberIDs() {
		o := g.members[id]
		jm := kmsg.NewJoinGroupResponseMember()
		jm.MemberID, jm.InstanceID, jm.ProtocolMetadata = o.id, o.instanceID, o.metadata(g.protocol)
		r.Members = append(r.Members, jm)
	}
	return r
}

func (g *group) memberIDs() []string { return slices.Sorted(maps.Keys(g.members)) }
