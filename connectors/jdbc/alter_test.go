package jdbc

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors"
)

// alter asks for other offsets, as a person does by PATCH and DELETE /connectors/test/offsets: 0 and above for the
// partition at0, -1 for its reset, and all partitions without any.
func alter(t *testing.T, s *server, to ...int64) {
	t.Helper()
	var offsets []connectors.SourceOffset
	for _, at := range to {
		o := connectors.SourceOffset{Partition: json.RawMessage(`{"kafka_topic":"orders","kafka_partition":0}`)}
		if at >= 0 {
			o.Offset = json.RawMessage(fmt.Sprintf(`{"kafka_offset":%d}`, at))
		}
		offsets = append(offsets, o)
	}
	a, ok := connectors.SinkConnector(New()).(connectors.OffsetAlterer)
	if !ok {
		t.Fatal("the sink keeps positions, and lets nobody alter them")
	}
	if done, err := a.AlterOffsets(t.Context(), s.with("name", "test"), offsets); err != nil || !done {
		t.Fatal(done, err)
	}
}

// Positions in the database count for more than the consumer group's, so altered offsets must become theirs.
func TestAlterOffsets(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, s *server) {
		alter(t, s) // there are none yet
		r := inserts(t, s, "auto.create", "true")
		if r.next != 2 {
			t.Fatal(r.next)
		}
		for _, c := range []struct{ to, next int64 }{{1, 1}, {7, 7}, {-1, 0}} {
			stop(r)
			alter(t, s, c.to)
			if r = s.start(t, "auto.create", "true"); r.next != c.next {
				t.Errorf("altered to %d, it is to go on at %d", c.to, r.next)
			}
		}
		r.put(flat(1, "again", 1), flat(2, "again", 2))
		r.flush()
		s.want(t, "SELECT count(*) FROM orders WHERE name = 'again'", "2")
		stop(r)
		alter(t, s)
		if r = s.start(t, "auto.create", "true"); r.next != 0 {
			t.Errorf("after a reset of all it is to go on at %d", r.next)
		}
	})
}

// Who still has the partition when its offsets are altered is fenced off.
func TestAlterOffsetsFences(t *testing.T) {
	t.Parallel()
	s := onSQLite(t)
	r := inserts(t, s, "auto.create", "true")
	alter(t, s, 0)
	r.put(flat(3, "zombie", 3))
	if err := r.tryFlush(); connectors.ClassOf(err) != connectors.ClassEnvironment {
		t.Errorf("flush: %v", err)
	}
	s.want(t, "SELECT count(*) FROM orders", "2")
}

// A topic that was deleted and made again begins with offsets that the database has of the former one. Its records must
// not be taken for those.
func TestTopicMadeAgain(t *testing.T) {
	t.Parallel()
	s := onSQLite(t)
	stop(inserts(t, s, "auto.create", "true"))
	r := s.start(t, "auto.create", "true")
	r.next = 0 // the consumer has begun anew, since the topic has no record at 2
	err := r.tryPut(flat(3, "new", 3))
	if connectors.ClassOf(err) != connectors.ClassGone || !strings.Contains(err.Error(), "DELETE /connectors/test/offsets") {
		t.Fatalf("put: %v", err)
	}
	stop(r)
	alter(t, s)
	r = s.start(t, "auto.create", "true")
	r.put(flat(3, "new", 3))
	r.flush()
	s.want(t, "SELECT id FROM orders ORDER BY id", "1", "2", "3")
}
