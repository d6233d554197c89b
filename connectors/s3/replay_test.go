package s3

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/sluicehub/sluice/connectors"
)

// errDown is what a server answers that is down.
var errDown = environment("put", errors.New("the server is down"), "")

// TestReplay kills tasks at random requests, among random times and sizes of batches, and lets new ones go on from the
// last position that was known. At the end every record must be in the bucket once, and in order in its path.
func TestReplay(t *testing.T) {
	configs := map[string][]string{
		"size":     {"flush.size", "7"},
		"schedule": {"flush.size", "50", "rotate.schedule.interval.ms", "1000"},
		"schedule and fields": {"flush.size", "20", "rotate.schedule.interval.ms", "1000", "partitioner.class", "field", "partition.field.name", "f",
			"store.kafka.keys", "true", "keys.format.class", "json"},
		"interval": {"flush.size", "50", "rotate.interval.ms", "2000", "partitioner.class", "hourly", "timestamp.extractor", "Record"},
		"gzip":     {"flush.size", "9", "s3.compression.type", "gzip"},
	}
	for name, config := range configs {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(25) {
				synctest.Test(t, func(t *testing.T) { replay(t, seed, config) })
			}
		})
	}
}

const replayed = 300

// replayRecord is record i: they come a second apart, but for some that come late.
func replayRecord(i int) connectors.Record {
	r := order(int64(i), fmt.Sprintf(`{"n":%d,"f":%d}`, i, i*i%5))
	r.Timestamp = time.Date(2026, 11, 21, 10, 57, 0, 0, time.UTC).UnixMilli() + int64(i)*1000 - int64(i%9)*700
	return r
}

func replay(t *testing.T, seed uint64, config []string) {
	random := rand.New(rand.NewPCG(seed, 1))
	st := newFakeStore()
	position, lives := int64(0), 0
	for done := false; !done; {
		if lives++; lives > 1000 {
			t.Fatal("it never ends")
		}
		position, done = oneLife(t, random, st, config, position, lives)
	}
	if position < replayed-50 { // what is still open is less than any rotation's size
		t.Fatalf("seed %d: it ends at %d", seed, position)
	}
	seen := map[int]int{}
	last := map[string]int{}
	for _, name := range st.names() {
		if strings.Contains(name, ".keys.") {
			continue
		}
		dir := name[:strings.LastIndexByte(name, '/')]
		for _, n := range numbers(t, name, []byte(st.content(name))) {
			seen[n]++
			if before, ok := last[dir]; ok && n <= before {
				t.Fatalf("seed %d: in %s record %d comes after %d", seed, dir, n, before)
			}
			last[dir] = n
		}
	}
	for n := range replayed {
		if seen[n] != 1 && n < int(position) {
			t.Fatalf("seed %d: record %d is in the bucket %d times; objects %q", seed, n, seen[n], st.names())
		}
	}
}

// oneLife runs one task from a position until it dies, and returns the last position that was committed, and whether it
// came to the end.
func oneLife(t *testing.T, random *rand.Rand, st *fakeStore, config []string, position int64, life int) (int64, bool) {
	left := random.IntN(12) + life/50 // requests until it dies; later lives are longer
	st.fail = func(string, string) error {
		if left--; left < 0 {
			return errDown
		}
		return nil
	}
	losing := random.IntN(2) == 0
	st.lost = func(string, string) error { // carried out, and the answer is lost
		if left <= 0 && losing {
			return errDown
		}
		return nil
	}
	r := startRun(t, st, baseConfig(config...))
	defer r.stop()
	for next := position; ; {
		n := min(int64(random.IntN(15)), replayed-next)
		var batch []connectors.Record
		for i := range n {
			batch = append(batch, replayRecord(int(next+i)))
		}
		if r.tryPut(batch...) != nil {
			return position, false
		}
		next += n
		time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond)
		if next == replayed { // let the clock finish what it can
			time.Sleep(time.Minute)
			if r.tryPut() != nil {
				return position, false
			}
		}
		positions, err := r.task.Flush(t.Context(), random.IntN(3) == 0 || next == replayed)
		if err != nil {
			return position, false
		}
		if next == replayed {
			return positions[0].Offset, true
		}
		if len(positions) == 1 && random.IntN(3) > 0 { // not every position is committed
			position = max(position, positions[0].Offset)
		}
	}
}

// numbers returns the records in a JSON file.
func numbers(t *testing.T, name string, contents []byte) (all []int) {
	t.Helper()
	if strings.HasSuffix(name, ".gz") {
		contents = unzipped(t, contents)
	}
	for line := range bytes.Lines(contents) {
		var n, f int
		if _, err := fmt.Sscanf(string(line), `{"n":%d,"f":%d}`, &n, &f); err != nil {
			t.Fatalf("%s: %q: %v", name, line, err)
		}
		all = append(all, n)
	}
	return all
}

// TestSameBytesAgain gives the same records to two tasks in batches of different sizes.
func TestSameBytesAgain(t *testing.T) {
	for _, of := range []string{"json", "avro", "parquet"} {
		write := func(size int) map[string][]byte {
			st := newFakeStore()
			r := startRun(t, st, baseConfig("format.class", of, "flush.size", "400"))
			defer r.stop()
			for i := 0; i < 1200; i += size {
				var batch []connectors.Record
				for j := i; j < min(i+size, 1200); j++ {
					batch = append(batch, everyRecord(t, j))
				}
				r.put(batch...)
			}
			r.flush()
			return st.objects
		}
		one, other := write(1), write(77)
		if len(one) != 3 || !maps.EqualFunc(one, other, bytes.Equal) {
			t.Errorf("%s: %d and %d objects, not the same", of, len(one), len(other))
		}
	}
}

// TestErrorIsReturnedAndTriedAgain lets the server fail for a while.
func TestErrorIsReturnedAndTriedAgain(t *testing.T) { synctest.Test(t, errorIsReturnedAndTriedAgain) }

func errorIsReturnedAndTriedAgain(t *testing.T) {
	st := newFakeStore()
	var down atomic.Bool
	down.Store(true)
	st.fail = func(string, string) error {
		if down.Load() {
			return errDown
		}
		return nil
	}
	r := startRun(t, st, baseConfig("flush.size", "1"))
	defer r.stop()
	failures, offset := 0, int64(0)
	for failures < 3 {
		if err := r.tryPut(order(offset, "1")); err != nil {
			if connectors.ClassOf(err) != connectors.ClassEnvironment {
				t.Fatal(err)
			}
			failures++ // the hub puts the same batch again
			continue
		}
		offset++
	}
	if offset > 2*(rotationsAtOnce+2) {
		t.Errorf("%d records were taken while nothing could be written", offset)
	}
	synctest.Wait() // rotations under way would see the server come back, or not
	down.Store(false)
	r.put(order(offset, "1"))
	if got := r.flush(); got != offset+1 {
		t.Errorf("position %d, want %d", got, offset+1)
	}
	if got := len(st.names()); int64(got) != offset+1 {
		t.Errorf("%d objects, want %d", got, offset+1)
	}
	if !slices.Equal(st.names(), slices.Compact(slices.Sorted(slices.Values(st.writes)))) {
		t.Error("objects were written that are not there")
	}
}

// TestAnotherWriter lets two tasks have the same partition, as after a partition was moved and the old task lives on.
func TestAnotherWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFakeStore()
		config := baseConfig("flush.size", "100", "rotate.schedule.interval.ms", "1000")
		old, young := startRun(t, st, config), startRun(t, st, config)
		defer young.stop()
		defer old.stop()
		old.put(order(0, "0"))
		young.put(order(0, "0"), order(1, "1"))
		time.Sleep(time.Second)
		young.put()
		if got := young.flush(); got != 2 {
			t.Fatalf("position %d, want 2", got)
		}
		err := old.tryPut() // which may see already what became of the upload
		if err == nil {
			_, err = old.task.Flush(t.Context(), true)
		}
		var e *connectors.Error
		if !errors.As(err, &e) || e.Retriable || e.Class != connectors.ClassEnvironment {
			t.Fatalf("the old writer: %v", err)
		}
		if got := st.content(oneName + ".json"); got != "0\n1\n" {
			t.Errorf("object holds %q", got)
		}
	})
}

// TestNewTopicOfTheSameName finds objects of an earlier topic: they are overwritten, not taken for the own past.
func TestNewTopicOfTheSameName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFakeStore()
		config := baseConfig("flush.size", "100", "rotate.schedule.interval.ms", "1000")
		for life, want := range []string{"0\n1\n2\n", "0\n"} {
			r := startRun(t, st, config)
			records := []connectors.Record{order(0, "0"), order(1, "1"), order(2, "2")}[:3-2*life]
			records[0].Timestamp += int64(life) * 1_000_000
			r.put(records...)
			time.Sleep(time.Second)
			r.put()
			if got := r.flush(); got != int64(len(records)) || st.content(oneName+".json") != want {
				t.Errorf("life %d: position %d, object %q, want %q", life, got, st.content(oneName+".json"), want)
			}
			r.stop()
		}
	})
}

// TestHalfWritten has a server that died when it had an object's contents, and not yet what goes with them.
func TestHalfWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFakeStore()
		died := false
		st.lost = func(op, key string) error {
			if died || op != "put" {
				return nil
			}
			died = true
			st.objects[key], st.about[key] = []byte("ha"), metadata{}
			return errDown
		}
		r := startRun(t, st, baseConfig("flush.size", "100", "rotate.schedule.interval.ms", "1000"))
		defer r.stop()
		r.put(order(0, "0"))
		time.Sleep(time.Second)
		err := r.tryPut() // which may see it already
		if err == nil {
			_, err = r.task.Flush(t.Context(), true)
		}
		if !errors.Is(err, errDown) {
			t.Errorf("the server dies: %v", err)
		}
		if got := r.flush(); got != 1 || st.content(oneName+".json") != "0\n" {
			t.Errorf("position %d, object %q", got, st.content(oneName+".json"))
		}
	})
}

// TestNotAllowedToSee has a user who may write objects and not see them: the task goes on, and overwrites.
func TestNotAllowedToSee(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newFakeStore()
		st.fail = func(op, _ string) error {
			if op == "head" {
				return forbidden()
			}
			return nil
		}
		for range 2 {
			r := startRun(t, st, baseConfig("flush.size", "100", "rotate.schedule.interval.ms", "1000"))
			r.put(order(0, "0"))
			time.Sleep(time.Second)
			r.put()
			if got := r.flush(); got != 1 {
				t.Errorf("position %d", got)
			}
			r.stop()
		}
	})
}

// forbidden is the error that the client makes of the status 403.
func forbidden() error {
	return &awshttp.ResponseError{ResponseError: &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{}}}, Err: errors.New("forbidden")}}
}
