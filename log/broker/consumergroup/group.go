package consumergroup

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/sluicehub/sluice/log"
)

// The states of a group, under Kafka's names.
const (
	Empty       = "Empty"
	Assigning   = "Assigning"   // the assignor is to run
	Reconciling = "Reconciling" // members are on their way to the target
	Stable      = "Stable"
)

// The assignors, under Kafka's names.
const (
	Uniform = "uniform"
	Range   = "range"
)

// Partition is a partition of a topic by its id.
type Partition struct {
	Topic  log.TopicID
	Number int32
}

func comparePartitions(a, b Partition) int {
	return cmp.Or(slices.Compare(a.Topic[:], b.Topic[:]), cmp.Compare(a.Number, b.Number))
}

// Topics is what a group must know of the topics there are.
type Topics interface {
	// Topic is the id and the number of partitions of a topic; false if there is none of that name.
	Topic(name string) (id log.TopicID, partitions int32, ok bool)
	// Names are all topics.
	Names() []string
	// Version is another one after each change of the above.
	Version() int64
}

// Config is how a group is run.
type Config struct {
	Session   time.Duration // a member that is silent for so long is gone
	Heartbeat time.Duration // how often members are to say that they live
	MaxSize   int           // members
	Assignors []string      // the first is the one of groups whose members do not ask for another
	// RegexRefresh is how often subscriptions by regular expression are resolved anew where no topic came or went,
	// since what a member may see can change too.
	RegexRefresh time.Duration
}

// Client is where a heartbeat comes from.
type Client struct {
	ID, Host string
	// MayDescribe says whether the client may see a topic, for subscriptions by regular expression.
	MayDescribe func(topic string) bool
}

// Group is one consumer group. Its methods must not be called at the same time.
//
// A method that changes it collects Records. The caller makes them durable, or cannot, and says Keep or Undo.
type Group struct {
	id        string
	epoch     int32 // 0: nothing of it is written
	hash      int64 // of the topics that are subscribed to, as of epoch
	assigned  int32 // the epoch of the targets; 0: none yet
	members   map[string]*member
	instances map[string]string // group.instance.id → member id
	targets   map[string][]Partition
	held      map[string]*held
	owners    map[Partition]string // who has a partition or has yet to give it up, by held
	resolved  map[string]*resolved // by regular expression

	todo, undo []change

	// What is not written:
	deadlines    map[string]deadline
	topics       int64 // the version of the topics that hash is of
	regexTopics  int64 // the version of the topics that resolved is of
	regexUpdated time.Time
}

// member is what a member says of itself. It is never changed in place.
type member struct {
	id         string
	instance   string // group.instance.id, "" none
	rack       string // "" none
	clientID   string
	clientHost string
	topics     []string // subscribed to by name, in order, each once
	regex      string   // subscribed to, "" none
	rebalance  int32    // ms it may take to give up partitions
	assignor   string   // the one it asks for, "" none
	classic    *classic // nil if it speaks the consumer protocol
}

// memberState is where a member is on its way to the target, numbered as in Kafka's records.
type memberState int8

const (
	stable     memberState = 0
	unrevoked  memberState = 1 // it must give up partitions
	unreleased memberState = 2 // others have yet to give up what it will have
)

// held is what a member has. It is never changed in place.
type held struct {
	epoch    int32
	previous int32 // epoch: who missed the last answer comes with this one
	state    memberState
	assigned map[Partition]int32 // with the epoch at which it was given: an older commit of its offset is stale
	revoking map[Partition]int32 // it must give them up
}

// notYet is what a member has that joins.
func notYet() *held { return &held{previous: -1} }

// away is the epoch of a static member that left to come back.
const away = -2

// deadline is until when a member must be heard of, and by when it must have taken its next step, if it must: given up
// partitions or, in the classic protocol, joined again or asked for its assignment.
type deadline struct{ session, step time.Time }

// New is a group that nobody is in yet.
func New(id string) *Group {
	return &Group{id: id, members: make(map[string]*member), instances: make(map[string]string), targets: make(map[string][]Partition),
		held: make(map[string]*held), owners: make(map[Partition]string), resolved: make(map[string]*resolved),
		deadlines: make(map[string]deadline), topics: -1, regexTopics: -1}
}

// ID is the group's name.
func (g *Group) ID() string { return g.id }

// Size is the number of members.
func (g *Group) Size() int { return len(g.members) }

// New says whether nothing of the group was ever kept.
func (g *Group) New() bool { return g.epoch == 0 }

// State is the state, under Kafka's name.
func (g *Group) State() string {
	switch {
	case len(g.members) == 0:
		return Empty
	case g.epoch > g.assigned:
		return Assigning
	}
	for id := range g.members {
		if h := g.held[id]; h == nil || h.state != stable || h.epoch != g.assigned {
			return Reconciling
		}
	}
	return Stable
}

// Subscribes tells whether a member subscribes to a topic.
func (g *Group) Subscribes(topic string) bool {
	for _, m := range g.members {
		if _, ok := slices.BinarySearch(g.subscription(m), topic); ok {
			return true
		}
	}
	return false
}

// subscription is what a member subscribes to: names in order, each once.
func (g *Group) subscription(m *member) []string {
	r := g.resolved[m.regex]
	if m.regex == "" || r == nil || len(r.topics) == 0 {
		return m.topics
	}
	all := slices.Concat(m.topics, r.topics)
	slices.Sort(all)
	return slices.Compact(all)
}

func (g *Group) memberIDs() []string { return slices.Sorted(maps.Keys(g.members)) }

// holds is what a member has.
func (g *Group) holds(id string) *held {
	if h := g.held[id]; h != nil {
		return h
	}
	return notYet()
}
