package postgres_test

import (
	"context"
	"slices"
	"testing"

	"github.com/sluicehub/sluice/connectors"
)

// TestFilteredPublication keeps the publication to the captured tables.
func TestFilteredPublication(t *testing.T) {
	b := newBench(t)
	b.exec("CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY); CREATE TABLE c (id int)")
	tables := func() string {
		return b.text("SELECT string_agg(tablename, ' ' ORDER BY tablename) FROM pg_publication_tables WHERE pubname = 'pub'")
	}
	config := b.config(map[string]string{"publication.name": "pub", "publication.autocreate.mode": "filtered", "table.include.list": "public.a", "snapshot.mode": "no_data"})
	r := b.start(config, nil)
	b.awaitStream(r, b.db)
	b.settle(r, b.db)
	r.stop()
	if got := tables(); got != "a" {
		t.Errorf("published: %s", got)
	}
	_, offsets := r.taken()
	config["table.include.list"] = "public.[ab]"
	r = b.start(config, offsets)
	b.exec("INSERT INTO b VALUES (1)")
	r.until("the change", func() bool { return r.count() == 1 })
	r.stop()
	if got := tables(); got != "a b" {
		t.Errorf("published: %s", got)
	}
	b.exec("DROP PUBLICATION pub; CREATE PUBLICATION pub FOR ALL TABLES")
	b.refused(config, nil, connectors.ClassConfig, "DROP PUBLICATION")
}

// TestDropOnStop leaves no slot behind.
func TestDropOnStop(t *testing.T) {
	b := newBench(t)
	r := b.start(b.config(map[string]string{"slot.drop.on.stop": "true", "snapshot.mode": "no_data"}), nil)
	b.awaitStream(r, b.db)
	r.stop()
	if n := b.text("SELECT count(*) FROM pg_replication_slots WHERE slot_name = '" + b.db + "'"); n != "0" {
		t.Errorf("%s slots are left", n)
	}
}

// TestPartitions publishes partitions as themselves or as their root, in snapshot and stream alike.
func TestPartitions(t *testing.T) {
	for via, topics := range map[string][2]string{"false": {"p.public.t_1", "p.public.t_2"}, "true": {"p.public.t", "p.public.t"}} {
		t.Run("via root "+via, func(t *testing.T) {
			b := newBench(t)
			b.exec(`CREATE TABLE t (id int, k int, PRIMARY KEY (id, k)) PARTITION BY LIST (k); CREATE TABLE t_1 PARTITION OF t FOR VALUES IN (1);
CREATE TABLE t_2 PARTITION OF t FOR VALUES IN (2); INSERT INTO t VALUES (1, 1)`)
			r := b.start(b.config(map[string]string{"publish.via.partition.root": via}), nil)
			b.awaitStream(r, b.db)
			b.exec("INSERT INTO t VALUES (2, 2)")
			b.settle(r, b.db)
			records, _ := r.taken()
			if len(records) != 2 || records[0].Topic != topics[0] || records[1].Topic != topics[1] {
				t.Errorf("%v", lines(t, records))
			}
		})
	}
}

// TestEnumGrows adds a label, of which the log says nothing.
func TestEnumGrows(t *testing.T) {
	b := newBench(t)
	b.exec("CREATE TYPE e AS ENUM ('a'); CREATE DOMAIN de AS e; CREATE TABLE t (id int PRIMARY KEY, v e, d de, z timetz, l e[])")
	r := b.start(b.config(nil), nil)
	b.awaitStream(r, b.db)
	b.exec("INSERT INTO t VALUES (1, 'a', 'a', '01:00:00+02:00:30')")
	b.settle(r, b.db)
	b.exec("ALTER TYPE e ADD VALUE 'b'")
	b.exec("INSERT INTO t VALUES (2, 'b', 'b', NULL)")
	b.settle(r, b.db)
	b.exec("ALTER TYPE e ADD VALUE 'c,\"' BEFORE 'a'")
	b.exec("INSERT INTO t VALUES (3, 'a', 'a', NULL, '{a,NULL,\"c,\\\"\"}'); INSERT INTO t VALUES (4, 'c,\"', 'a')")
	b.settle(r, b.db)
	r.stop()
	records, offsets := r.taken()
	got := lines(t, records)
	want := []string{`p.public.t {"id":1} null {"id":1,"v":"a","d":"a","z":"22:59:30Z","l":null} "c"`, `p.public.t {"id":2} null {"id":2,"v":"b","d":"b","z":null,"l":null} "c"`,
		`p.public.t {"id":3} null {"id":3,"v":"a","d":"a","z":null,"l":["a",null,"c,\""]} "c"`, `p.public.t {"id":4} null {"id":4,"v":"c,\"","d":"a","z":null,"l":null} "c"`}
	sameLines(t, "enum", want, got)
	for i, want := range []string{"a", "a,b", `c,",a,b`, `c,",a,b`} {
		if got := labelsOf(records[i]); !slices.Equal(got, []string{want, want, want}) {
			t.Errorf("record %d has the labels %q", i+1, got)
		}
	}
	// The log has labels that are renamed since.
	b.exec("INSERT INTO t VALUES (5, 'a'), (6, 'a'); ALTER TYPE e RENAME VALUE 'a' TO 'x'; ALTER TYPE e RENAME VALUE 'b' TO 'y'")
	r = b.start(b.config(nil), offsets)
	b.settle(r, b.db)
	records, _ = r.taken()
	sameLines(t, "renamed", []string{`p.public.t {"id":5} null {"id":5,"v":"a","d":null,"z":null,"l":null} "c"`, `p.public.t {"id":6} null {"id":6,"v":"a","d":null,"z":null,"l":null} "c"`}, lines(t, records))
	if got := labelsOf(records[0]); !slices.Equal(got[:1], []string{`c,",x,y,a`}) || records[0].Value.Schema != records[1].Value.Schema {
		t.Errorf("renamed: the labels are %q", got)
	}
}

// labelsOf are the labels that the schema of a row lists for v, d and l.
func labelsOf(r connectors.Record) (labels []string) {
	for _, f := range r.Value.Schema.Fields[1].Schema.Fields {
		s := f.Schema
		if s.Elem != nil {
			s = s.Elem
		}
		for _, p := range s.Parameters {
			if p.Name == "allowed" {
				labels = append(labels, p.Value)
			}
		}
	}
	return labels
}

// TestFigures shows the slot's retained WAL.
func TestFigures(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.start(b.config(map[string]string{"snapshot.mode": "no_data"}), nil)
	b.awaitStream(r, b.db)
	o := r.task.(connectors.Observer)
	r.until("a figure", func() bool { f := o.Figures(); return len(f) == 2 && f[1].Name == "slot_retained_wal_bytes" })
	if err := r.task.Commit(context.Background(), nil); err != nil {
		t.Error(err)
	}
}

// TestNewPartition attaches a partition while the stream runs, and gives the filtered publication of a version that
// listed the partitions their root.
func TestNewPartition(t *testing.T) {
	b := newBench(t)
	b.exec(`CREATE TABLE t (id int, k int, PRIMARY KEY (id, k)) PARTITION BY LIST (k); CREATE TABLE t_1 PARTITION OF t FOR VALUES IN (1);
CREATE TABLE u (id int PRIMARY KEY, k int); CREATE PUBLICATION dbz_publication FOR TABLE t_1, u`)
	config := b.config(map[string]string{"publication.autocreate.mode": "filtered", "snapshot.mode": "no_data"})
	r := b.start(config, nil)
	b.awaitStream(r, b.db)
	b.exec("CREATE TABLE t_2 PARTITION OF t FOR VALUES IN (2); INSERT INTO t VALUES (2, 2); INSERT INTO t VALUES (1, 1); INSERT INTO u VALUES (1, 1)")
	b.settle(r, b.db)
	records, _ := r.taken()
	sameLines(t, "changes", []string{`p.public.t_2 {"id":2,"k":2} null {"id":2,"k":2} "c"`, `p.public.t_1 {"id":1,"k":1} null {"id":1,"k":1} "c"`,
		`p.public.u {"id":1} null {"id":1,"k":1} "c"`}, lines(t, records))
	r.stop()
	if got := b.text("SELECT string_agg(prrelid::regclass::text, ' ' ORDER BY prrelid::regclass::text) FROM pg_publication_rel"); got != "t u" {
		t.Errorf("published: %s", got)
	}
}
