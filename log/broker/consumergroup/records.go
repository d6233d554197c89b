package consumergroup

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/sluicehub/sluice/log"
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What a record is of, the first field of its key. Kafka's group-coordinator/src/main/resources/common/message has them
// by these numbers.
const (
	keyGroup    = 3  // ConsumerGroupMetadata
	keyMember   = 5  // ConsumerGroupMemberMetadata
	keyAssigned = 6  // ConsumerGroupTargetAssignmentMetadata
	keyTarget   = 7  // ConsumerGroupTargetAssignmentMember
	keyHeld     = 8  // ConsumerGroupCurrentMemberAssignment
	keyRegex    = 16 // ConsumerGroupRegularExpression
)

// A key is of fixed width or with a length of two bytes:
//
//	of i16 · group string [· member or regular expression string]
//
// A value begins with its version, 0, and is compact: lengths are varints and one more than they say, 0 for null, and
// tagged fields end each structure.
//
//	3   epoch i32 · tag 0: hash i64
//	5   instance, rack *string · client, host string · topics []string · regex *string · rebalance i32 · assignor *string ·
//	    tag 0, of members of the classic protocol: 1 i8 · session i32 · [] name string · metadata bytes
//	6   epoch i32
//	7   [] topic uuid · partitions []i32
//	8   epoch, previous i32 · state i8 · assigned, revoking [] topic uuid · partitions []i32 · tag 0: epochs *[]i32
//	16  topics []string · version, time i64
func key(of int16, parts ...string) []byte {
	b := kbin.AppendInt16(nil, of)
	for _, p := range parts {
		b = kbin.AppendString(b, p)
	}
	return b
}

// maxKey is how many bytes a part of a key can have.
const maxKey = math.MaxInt16

// value begins a value.
func value() []byte { return []byte{0, 0} }

const noTags = 0

func (c epochTo) record(group string) Record {
	r := Record{Key: key(keyGroup, group)}
	if c.epoch == 0 {
		return r
	}
	r.Value = appendTag(kbin.AppendInt32(value(), c.epoch), kbin.AppendInt64(nil, c.hash))
	return r
}

func (c assignedTo) record(group string) Record {
	r := Record{Key: key(keyAssigned, group)}
	if c.epoch != 0 {
		r.Value = append(kbin.AppendInt32(value(), c.epoch), noTags)
	}
	return r
}

func (c memberTo) record(group string) Record {
	r, m := Record{Key: key(keyMember, group, c.id)}, c.to
	if m == nil {
		return r
	}
	b := kbin.AppendCompactNullableString(value(), orNull(m.instance))
	b = kbin.AppendCompactNullableString(b, orNull(m.rack))
	b = kbin.AppendCompactString(b, m.clientID)
	b = kbin.AppendCompactString(b, m.clientHost)
	b = appendStrings(b, m.topics)
	b = kbin.AppendCompactNullableString(b, &m.regex)
	b = kbin.AppendInt32(b, m.rebalance)
	b = kbin.AppendCompactNullableString(b, orNull(m.assignor))
	if m.classic == nil {
		r.Value = append(b, noTags)
		return r
	}
	tag := kbin.AppendInt32([]byte{1}, m.classic.session) // 1: not null
	tag = kbin.AppendCompactArrayLen(tag, len(m.classic.protocols))
	for _, p := range m.classic.protocols {
		tag = append(kbin.AppendCompactBytes(kbin.AppendCompactString(tag, p.Name), p.Metadata), noTags)
	}
	r.Value = appendTag(b, append(tag, noTags))
	return r
}

// appendTag ends a structure with its only tagged field, number 0.
func appendTag(b, field []byte) []byte {
	b = append(b, 1, 0)
	return append(kbin.AppendUvarint(b, uint32(len(field))), field...)
}

func (c targetTo) record(group string) Record {
	r := Record{Key: key(keyTarget, group, c.id)}
	if c.to == nil {
		return r
	}
	topics, numbers := byTopic(c.to)
	b := kbin.AppendCompactArrayLen(value(), len(topics))
	for i, t := range topics {
		b = append(appendNumbers(kbin.AppendUuid(b, t), numbers[i]), noTags)
	}
	r.Value = append(b, noTags)
	return r
}

func (c heldTo) record(group string) Record {
	r, h := Record{Key: key(keyHeld, group, c.id)}, c.to
	if h == nil {
		return r
	}
	b := kbin.AppendInt32(value(), h.epoch)
	b = kbin.AppendInt32(b, h.previous)
	b = append(b, byte(h.state))
	b = appendHeld(b, h.assigned)
	b = appendHeld(b, h.revoking)
	r.Value = append(b, noTags)
	return r
}

func (c resolvedTo) record(group string) Record {
	r := Record{Key: key(keyRegex, group, c.regex)}
	if c.to == nil {
		return r
	}
	b := appendStrings(value(), c.to.topics)
	b = kbin.AppendInt64(b, 0) // the version of the topics means nothing after a restart
	b = kbin.AppendInt64(b, c.to.at.UnixMilli())
	r.Value = append(b, noTags)
	return r
}

func appendHeld(b []byte, some map[Partition]int32) []byte {
	topics, numbers := byTopic(sorted(some))
	b = kbin.AppendCompactArrayLen(b, len(topics))
	for i, t := range topics {
		b = appendNumbers(kbin.AppendUuid(b, t), numbers[i])
		epochs := make([]int32, 0, len(numbers[i]))
		for _, n := range numbers[i] {
			epochs = append(epochs, some[Partition{t, n}])
		}
		b = appendTag(b, appendNumbers(nil, epochs))
	}
	return b
}

func sorted(some map[Partition]int32) []Partition {
	return slices.SortedFunc(maps.Keys(some), comparePartitions)
}

func appendNumbers(b []byte, numbers []int32) []byte {
	b = kbin.AppendCompactArrayLen(b, len(numbers))
	for _, n := range numbers {
		b = kbin.AppendInt32(b, n)
	}
	return b
}

func appendStrings(b []byte, all []string) []byte {
	b = kbin.AppendCompactArrayLen(b, len(all))
	for _, s := range all {
		b = kbin.AppendCompactString(b, s)
	}
	return b
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// Load applies a record to the group it is of, which it makes if need be. It returns false for a record of another
// kind, which it leaves alone.
func Load(groups map[string]*Group, r Record) (bool, error) {
	if len(r.Key) < 2 {
		return false, nil
	}
	of := int16(binary.BigEndian.Uint16(r.Key))
	if !slices.Contains([]int16{keyGroup, keyMember, keyAssigned, keyTarget, keyHeld, keyRegex}, of) {
		return false, nil
	}
	k := kbin.Reader{Src: r.Key[2:]}
	group, name := k.String(), ""
	if of != keyGroup && of != keyAssigned {
		name = k.String()
	}
	if err := k.Complete(); err != nil {
		return true, fmt.Errorf("key %x of a consumer group: %w", r.Key, err)
	}
	c, err := decode(of, name, r.Value)
	if err != nil {
		return true, fmt.Errorf("consumer group %s, record of kind %d: %w", group, of, err)
	}
	g := groups[group]
	if g == nil {
		g = New(group)
		groups[group] = g
	}
	c.apply(g)
	if g.epoch == 0 && g.assigned == 0 && len(g.members)+len(g.targets)+len(g.held)+len(g.resolved) == 0 {
		delete(groups, group)
	}
	return true, nil
}

// decode reads a value; nil deletes.
func decode(of int16, name string, b []byte) (change, error) {
	if b == nil {
		return map[int16]change{keyGroup: epochTo{}, keyAssigned: assignedTo{}, keyMember: memberTo{name, nil}, keyTarget: targetTo{name, nil},
			keyHeld: heldTo{name, nil}, keyRegex: resolvedTo{name, nil}}[of], nil
	}
	if len(b) < 2 || b[0] != 0 || b[1] != 0 {
		return nil, fmt.Errorf("version %.2x is not known", b)
	}
	d := decoder{kbin.Reader{Src: b[2:]}}
	var c change
	switch of {
	case keyGroup:
		c = d.epoch()
	case keyAssigned:
		c = assignedTo{d.Int32()}
	case keyMember:
		c = memberTo{name, d.member(name)}
	case keyTarget:
		c = targetTo{name, d.target()}
	case keyHeld:
		c = heldTo{name, d.held()}
	case keyRegex:
		c = resolvedTo{name, d.resolved()}
	}
	if of != keyGroup && of != keyMember { // which have read them
		d.tags(nil)
	}
	return c, d.Complete()
}

// decoder reads the fields of a value.
type decoder struct{ kbin.Reader }

func (d *decoder) epoch() change {
	c := epochTo{epoch: d.Int32()}
	d.tags(func(r *kbin.Reader) { c.hash = r.Int64() })
	return c
}

// tags reads tagged fields; first reads number 0, if it is not nil.
func (d *decoder) tags(first func(*kbin.Reader)) {
	for n := d.Uvarint(); n > 0 && d.Ok(); n-- {
		number, size := d.Uvarint(), d.Uvarint()
		field := kbin.Reader{Src: d.Span(int(size))}
		if number == 0 && first != nil {
			first(&field)
		}
	}
}

func (d *decoder) member(id string) *member {
	m := &member{id: id, instance: orEmpty(d.CompactNullableString()), rack: orEmpty(d.CompactNullableString()),
		clientID: d.CompactString(), clientHost: d.CompactString(), topics: d.strings(), regex: orEmpty(d.CompactNullableString())}
	m.rebalance, m.assignor = d.Int32(), orEmpty(d.CompactNullableString())
	m.topics = ordered(m.topics)
	d.tags(func(r *kbin.Reader) {
		of := decoder{*r}
		m.classic = of.classic()
	})
	return m
}

// classic is nil for null, and for members of whom nobody could tell what they subscribe to.
func (d *decoder) classic() *classic {
	if d.Int8() != 1 {
		return nil
	}
	c := &classic{session: d.Int32()}
	for n := d.CompactArrayLen(); n > 0 && d.Ok(); n-- {
		p := kmsg.NewJoinGroupRequestProtocol()
		p.Name, p.Metadata = d.CompactString(), bytes.Clone(d.CompactBytes())
		d.tags(nil)
		c.protocols = append(c.protocols, p)
	}
	if _, err := subscriptionOf(c.protocols); err != nil || !d.Ok() {
		return nil
	}
	return c
}

func (d *decoder) resolved() *resolved {
	r := &resolved{topics: d.strings()}
	d.Int64() // the version of the topics
	r.at = time.UnixMilli(d.Int64())
	slices.Sort(r.topics)
	return r
}

func (d *decoder) strings() []string {
	var all []string
	for n := d.CompactArrayLen(); n > 0 && d.Ok(); n-- {
		all = append(all, d.CompactString())
	}
	return all
}

func (d *decoder) numbers() []int32 {
	var all []int32
	for n := d.CompactArrayLen(); n > 0 && d.Ok(); n-- {
		all = append(all, d.Int32())
	}
	return all
}

func (d *decoder) target() []Partition {
	all := []Partition{}
	for n := d.CompactArrayLen(); n > 0 && d.Ok(); n-- {
		topic := log.TopicID(d.Uuid())
		for _, p := range d.numbers() {
			all = append(all, Partition{topic, p})
		}
		d.tags(nil)
	}
	slices.SortFunc(all, comparePartitions)
	return slices.Compact(all)
}

func (d *decoder) held() *held {
	h := &held{epoch: d.Int32(), previous: d.Int32(), state: memberState(d.Int8())}
	h.assigned, h.revoking = d.partitions(), d.partitions()
	return h
}

func (d *decoder) partitions() map[Partition]int32 {
	all := make(map[Partition]int32)
	for n := d.CompactArrayLen(); n > 0 && d.Ok(); n-- {
		topic, numbers := log.TopicID(d.Uuid()), d.numbers()
		var epochs []int32
		d.tags(func(r *kbin.Reader) {
			of := decoder{*r}
			epochs = of.numbers()
		})
		for i, p := range numbers {
			all[Partition{topic, p}] = 0
			if i < len(epochs) {
				all[Partition{topic, p}] = epochs[i]
			}
		}
	}
	return all
}
