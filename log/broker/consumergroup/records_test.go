package consumergroup

import (
	"encoding/hex"
	"reflect"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// full is a group of which there is everything.
func full(t testing.TB) *groupTest {
	gt := newGroupTest(t)
	gt.topics.make("t", 4)
	gt.topics.make("u", 2)
	a := gt.client("a", "t")
	a.instance, a.assignor = "one", Uniform
	a.join()
	b := gt.client("b")
	b.regex = "t|u"
	b.join()
	a.beat()
	gt.must(gt.classic("t").join(false))
	return gt
}

func TestReplayingRecordsGivesTheGroup(t *testing.T) {
	gt := full(t)
	was := gt.g
	gt.restart()
	for _, pair := range [][2]any{
		{gt.g.epoch, was.epoch}, {gt.g.hash, was.hash}, {gt.g.assigned, was.assigned}, {gt.g.members, was.members}, {gt.g.instances, was.instances},
		{gt.g.targets, was.targets}, {gt.g.held["a"].assigned, was.held["a"].assigned}, {gt.g.held["a"].revoking, was.held["a"].revoking},
		{gt.g.held["b"].epoch, was.held["b"].epoch}, {gt.g.owners, was.owners}, {gt.g.resolved["t|u"].topics, was.resolved["t|u"].topics},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("after a restart %v, before %v", pair[0], pair[1])
		}
	}
	gt.g.Delete()
	gt.log = append(gt.log, gt.g.Records()...)
	groups := make(map[string]*Group)
	for _, r := range gt.log {
		if _, err := Load(groups, r); err != nil {
			t.Fatal(err)
		}
	}
	if len(groups) != 0 {
		t.Errorf("%d groups are left of a deleted one", len(groups))
	}
}

// TestRecordsAreKafkas compares with the bytes of Kafka's schemas (group-coordinator/src/main/resources/common/message).
func TestRecordsAreKafkas(t *testing.T) {
	p := Partition{Topic: [16]byte{1}, Number: 3}
	for name, c := range map[string]struct {
		change     change
		key, value string
	}{
		"epoch":          {epochTo{7, 9}, "0003000167", "00000000000701000800000000000000" + "09"},
		"deleted":        {epochTo{}, "0003000167", ""},
		"target's epoch": {assignedTo{7}, "0006000167", "00000000000700"},
		"member": {memberTo{"m", &member{instance: "i", clientID: "c", clientHost: "/h", topics: []string{"t"}, rebalance: 5}}, "000500016700016d",
			"0000" + "0269" + "00" + "0263" + "032f68" + "02" + "0274" + "01" + "00000005" + "00" + "00"},
		"target": {targetTo{"m", []Partition{p}}, "000700016700016d", "0000" + "02" + "01000000000000000000000000000000" + "0200000003" + "00" + "00"},
		"member of the classic protocol": {memberTo{"m", &member{clientID: "c", clientHost: "/h", topics: []string{"t"}, rebalance: 5, classic: &classic{6, []kmsg.JoinGroupRequestProtocol{{Name: "r", Metadata: []byte{7}}}}}},
			"000500016700016d", "0000" + "00" + "00" + "0263" + "032f68" + "02" + "0274" + "01" + "00000005" + "00" + "01000c" + "01" + "00000006" + "02" + "0272" + "0207" + "00" + "00"},
		"held": {heldTo{"m", &held{epoch: 2, previous: 1, state: unrevoked, assigned: map[Partition]int32{p: 2}}}, "000800016700016d",
			"0000" + "00000002" + "00000001" + "01" + "02" + "01000000000000000000000000000000" + "0200000003" + "01000502" + "00000002" + "01" + "00"},
		"expression": {resolvedTo{"r", &resolved{[]string{"t"}, time.UnixMilli(5)}}, "0010000167000172", "0000" + "020274" + "0000000000000000" + "0000000000000005" + "00"},
	} {
		r := c.change.record("g")
		if got := hex.EncodeToString(r.Key); got != c.key {
			t.Errorf("%s: key %s, want %s", name, got, c.key)
		}
		if got := hex.EncodeToString(r.Value); got != c.value {
			t.Errorf("%s: value %s, want %s", name, got, c.value)
		}
	}
}

// used is the processor time that this process has taken.
func used(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestMetadataOfAllVersions: what clients say to each other can be read, however old or new they are.
func TestMetadataOfAllVersions(t *testing.T) {
	owned := []kmsg.ConsumerMemberMetadataOwnedPartition{{Topic: "t", Partitions: []int32{1, 2}}}
	for v := range int16(6) {
		said := kmsg.ConsumerMemberMetadata{Version: v, Topics: []string{"t", ""}, UserData: []byte{1}, OwnedPartitions: owned, Generation: 3, Rack: kmsg.StringPtr("r")}
		got, err := subscriptionOf([]kmsg.JoinGroupRequestProtocol{{Metadata: said.AppendTo(nil)}})
		if err != nil || len(got.Topics) != 2 {
			t.Errorf("version %d: %+v, %v", v, got, err)
		}
	}
	lie := kbin.AppendInt32([]byte{0, 1, 0, 0, 0, 0, 0, 0, 0, 0}, 1000)
	if m, err := subscriptionOf([]kmsg.JoinGroupRequestProtocol{{Metadata: append(lie, make([]byte, 1000)...)}}); err == nil {
		t.Errorf("1000 topics in 1000 bytes: %+v", m)
	}
}

// FuzzLoad: bytes that are no record are an error, and never end the process.
func FuzzLoad(f *testing.F) {
	for _, r := range full(f).log {
		f.Add(r.Key, r.Value)
	}
	// Many tagged fields are announced.
	f.Add(key(keyTarget, "g", "m"), slices.Concat(value(), []byte{2}, make([]byte, 16+1), []byte{0xff, 0xff, 0xff, 0xff, 0x0f}))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		began := used(t)
		defer func() {
			if took := used(t) - began; took > 2*time.Second {
				t.Errorf("took %v of the processor", took)
			}
		}()
		groups := make(map[string]*Group)
		if _, err := Load(groups, Record{key, value}); err != nil {
			return
		}
		for _, g := range groups {
			g.Resume(Config{Session: time.Second}, time.Time{})
			g.State()
			g.Downgrade(&fakeTopics{})
			g.Delete()
		}
	})
}
