package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/postgres"
	"github.com/sluicehub/sluice/integration/services"
)

func offset(text string) []connectors.SourceOffset {
	return []connectors.SourceOffset{{Partition: json.RawMessage(`{"server":"p"}`), Offset: json.RawMessage(text)}}
}

// refused starts a task that must not start, and returns its error.
func (b *bench) refused(config map[string]string, offsets []connectors.SourceOffset, class connectors.Class, texts ...string) *connectors.Error {
	b.t.Helper()
	r, err := b.tryStart(config, offsets)
	if err == nil {
		r.stop()
		b.t.Fatal("the task has started")
	}
	var e *connectors.Error
	if !errors.As(err, &e) || e.Class != class {
		b.t.Fatalf("class %s, want %s: %v", connectors.ClassOf(err), class, err)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			b.t.Errorf("%q is not in: %v", text, err)
		}
	}
	return e
}

// captured makes a table a, and returns the offsets of a source that has streamed its first row.
func (b *bench) captured(config map[string]string) []connectors.SourceOffset {
	b.t.Helper()
	b.exec("CREATE TABLE a (id int PRIMARY KEY)")
	r := b.start(config, nil)
	b.awaitStream(r, b.db)
	b.exec("INSERT INTO a VALUES (1)")
	b.settle(r, b.db)
	r.stop()
	_, offsets := r.taken()
	return offsets
}

// TestGapsAreRefused gives the task offsets that its slot cannot follow.
func TestGapsAreRefused(t *testing.T) {
	b := newBench(t)
	config := b.config(nil)
	good := b.captured(config)

	b.refused(config, offset(`{"lsn":9000000000000000,"txId":1,"ts_usec":1}`), connectors.ClassGone, "another server", "DELETE /connectors/pg/offsets")
	b.refused(config, offset(`{"lsn_proc":100,"lsn_commit":100,"lsn":100,"txId":1,"ts_usec":1}`), connectors.ClassGone, "0/64", "changes between are gone")
	b.refused(config, offset(`{"lsn_proc":100,"lsn_commit":100,"lsn":100,"txId":4000000000,"ts_usec":1}`), connectors.ClassGone, "transaction 4000000000")
	b.refused(config, offset(`{"lsn":"x"}`), connectors.ClassConfig, "lsn of the offset")

	// The server is another one, although slot and log would fit. The task has said with its first batch which one it is.
	system := b.text("SELECT system_identifier FROM pg_control_system()")
	said := func(system string) connectors.SourceOffset {
		return connectors.SourceOffset{Partition: json.RawMessage(`{"server":"p","of":"server"}`), Offset: json.RawMessage(`{"system_identifier":"` + system + `","timeline":1}`)}
	}
	i := slices.IndexFunc(good, func(o connectors.SourceOffset) bool { return string(o.Partition) == string(said("").Partition) })
	if i < 0 || string(good[i].Offset) != string(said(system).Offset) {
		t.Fatalf("the offsets do not name the server %s: %s", system, good)
	}
	other := slices.Clone(good)
	other[i] = said("7000000000000000001")
	b.refused(config, other, connectors.ClassGone, "7000000000000000001", system, "DELETE /connectors/pg/offsets")
	b.start(config, good).stop()

	// trust_slot accepts the gap.
	trusting := b.config(map[string]string{"offset.mismatch.strategy": "trust_slot"})
	r := b.start(trusting, offset(`{"lsn_proc":100,"lsn_commit":100,"lsn":100,"txId":1,"ts_usec":1}`))
	b.exec("INSERT INTO a VALUES (2)")
	r.until("the change", func() bool { return r.count() == 1 })
	r.stop()

	r.until("the session's end", func() bool {
		return b.text("SELECT count(*) FROM pg_replication_slots WHERE active AND slot_name = '"+b.db+"'") == "0"
	})
	b.exec("SELECT pg_drop_replication_slot('" + b.db + "')")
	b.refused(config, good, connectors.ClassGone, "does not exist any more", "PUT /connectors/pg/stop")

	// when_needed reads the tables anew.
	r = b.start(b.config(map[string]string{"snapshot.mode": "when_needed"}), good)
	r.until("the rows", func() bool { return r.count() == 2 })
	r.stop()
}

// TestPromotedServer goes on behind a promotion from what the new server has, and not from what only the former one had.
func TestPromotedServer(t *testing.T) {
	server := ownServer(t, services.PostgresOptions{})
	t.Setenv(services.EnvPostgres, server.DSN("postgres"))
	b := newBench(t)
	config := b.config(nil)
	before := b.captured(config)

	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(server.Dir(), "data", "standby.signal"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.connect()
	b.exec("SELECT pg_promote()")
	b.exec("INSERT INTO a VALUES (2)")
	r := b.start(config, before)
	r.until("the change behind the promotion", func() bool { return r.count() == 1 })
	b.settle(r, b.db)
	r.stop()
	_, behind := r.taken()

	of := func(offsets []connectors.SourceOffset) int {
		return slices.IndexFunc(offsets, func(o connectors.SourceOffset) bool { return strings.Contains(string(o.Partition), `"of"`) })
	}
	is := string(behind[of(behind)].Offset)
	if !strings.Contains(is, `"timeline":2`) {
		t.Fatalf("the offsets are of %s", is)
	}
	for timeline, text := range map[string]string{"1": "left at", "3": "does not come from"} {
		other := slices.Clone(behind)
		other[of(behind)].Offset = json.RawMessage(strings.Replace(is, `"timeline":2`, `"timeline":`+timeline, 1))
		b.refused(config, other, connectors.ClassGone, "timeline "+timeline, text, "DELETE /connectors/pg/offsets")
	}
	b.start(config, behind).stop()
}

// TestLostSlot lets the server remove WAL that a slot needs.
func TestLostSlot(t *testing.T) {
	server := ownServer(t, services.PostgresOptions{Settings: map[string]string{
		"max_slot_wal_keep_size": "1MB", "min_wal_size": "32MB", "max_wal_size": "48MB", "wal_keep_size": "0"}})
	t.Setenv(services.EnvPostgres, server.DSN("postgres"))
	b := newBench(t)
	config := b.config(nil)
	offsets := b.captured(config)
	for range 6 {
		b.exec("CREATE TABLE fill AS SELECT repeat(md5(i::text), 50) x FROM generate_series(1, 20000) i; DROP TABLE fill")
		b.exec("SELECT pg_switch_wal()")
		b.exec("CHECKPOINT")
	}
	if status := b.text("SELECT wal_status FROM pg_replication_slots"); status != "lost" {
		t.Fatalf("the slot is %s: the test shows nothing", status)
	}
	b.refused(config, offsets, connectors.ClassGone, "lost", "pg_drop_replication_slot")
	r := b.start(b.config(map[string]string{"snapshot.mode": "when_needed"}), offsets)
	r.until("the row", func() bool { return r.count() == 1 })
	r.stop()
}

// TestRefusals gives configurations that cannot work.
func TestRefusals(t *testing.T) {
	b := newBench(t)
	b.exec("CREATE TABLE a (id int PRIMARY KEY)")
	for name, c := range map[string]struct {
		config map[string]string
		class  connectors.Class
		texts  []string
	}{
		"no publication":  {map[string]string{"publication.autocreate.mode": "disabled", "publication.name": "absent"}, connectors.ClassConfig, []string{"CREATE PUBLICATION"}},
		"no such host":    {map[string]string{"database.hostname": "no.such.host.invalid"}, connectors.ClassEnvironment, []string{"no.such.host.invalid"}},
		"nobody listens":  {map[string]string{"database.port": "1"}, connectors.ClassEnvironment, nil},
		"no such db":      {map[string]string{"database.dbname": "nosuchdb"}, connectors.ClassEnvironment, []string{"nosuchdb"}},
		"unknown key col": {map[string]string{"message.key.columns": "public.a:nope"}, connectors.ClassConfig, []string{"nope"}},
		"no prefix":       {map[string]string{"topic.prefix": ""}, connectors.ClassConfig, []string{"topic.prefix"}},
	} {
		t.Run(name, func(t *testing.T) {
			sub := *b
			sub.t = t
			if e := sub.refused(b.config(c.config), nil, c.class, c.texts...); e.Class == connectors.ClassEnvironment && !e.Retriable {
				t.Error("it is not retriable")
			}
		})
	}
	b.exec("SELECT pg_create_logical_replication_slot('" + b.db + "x', 'test_decoding')")
	b.refused(b.config(map[string]string{"slot.name": b.db + "x"}), nil, connectors.ClassConfig, "test_decoding")
}

// TestBadValue meets a value that its schema cannot hold.
func TestBadValue(t *testing.T) {
	b := newBench(t)
	b.exec("CREATE TABLE a (id int PRIMARY KEY, n numeric(5,2)); INSERT INTO a VALUES (1, 1.5)")
	r := b.start(b.config(nil), nil)
	b.awaitStream(r, b.db)
	b.exec("INSERT INTO a VALUES (2, 'NaN')")
	<-r.done
	var e *connectors.Error
	if !errors.As(r.err, &e) || e.Class != connectors.ClassData || !strings.Contains(e.Error(), "column n") || !strings.Contains(e.Error(), "LSN") {
		t.Fatalf("%v", r.err)
	}
	_, offsets := r.taken()
	r.stop()
	r = b.start(b.config(map[string]string{"test.tolerate": "yes"}), offsets)
	b.exec("INSERT INTO a VALUES (3, 3)")
	r.until("the next change", func() bool { return r.count() == 1 })
	if len(r.bad) != 1 || string(r.bad[0].Value.Bytes) != `{"id":"2","n":"NaN"}` || r.bad[0].Topic != "p.public.a" {
		t.Errorf("%+v", r.bad)
	}
}

// TestYoungConstraint sets a column NOT NULL after a null was written that is still in the log.
func TestYoungConstraint(t *testing.T) {
	b := newBench(t)
	b.exec("CREATE TABLE a (id int PRIMARY KEY, n int)")
	r := b.start(b.config(nil), nil)
	b.awaitStream(r, b.db)
	b.settle(r, b.db)
	r.stop()
	_, offsets := r.taken()
	b.exec("INSERT INTO a VALUES (1, NULL)")
	b.exec("UPDATE a SET n = 1")
	b.exec("ALTER TABLE a ALTER n SET NOT NULL")
	r = b.start(b.config(nil), offsets)
	r.until("both changes", func() bool { return r.count() == 2 })
	records, _ := r.taken()
	if got := lines(t, records[:1])[0]; got != `p.public.a {"id":1} null {"id":1,"n":null} "c"` {
		t.Error(got)
	}
}

// TestValidate runs the preflight.
func TestValidate(t *testing.T) {
	b := newBench(t)
	b.exec(`CREATE TABLE keyless (v int); CREATE TABLE good (id int PRIMARY KEY, b box);
DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sluice_weak') THEN CREATE ROLE sluice_weak LOGIN; END IF; END $$`)
	v := postgres.New().(connectors.Validator)
	expect := func(config map[string]string, want map[string]string) {
		t.Helper()
		problems := v.Validate(context.Background(), b.config(config))
		for key, text := range want {
			found := false
			for _, p := range problems {
				found = found || p.Key == key && strings.Contains(p.Message, text)
			}
			if !found {
				t.Errorf("%v: no problem of %s with %q in %v", config, key, text, problems)
			}
		}
		if len(want) == 0 && configs.Err(problems) != nil {
			t.Error(problems)
		}
	}
	expect(map[string]string{"table.include.list": "public.good", "column.exclude.list": "public.good.b"}, nil)
	expect(nil, map[string]string{
		"table.include.list":        `ALTER TABLE "public"."keyless" REPLICA IDENTITY FULL`,
		"message.key.columns":       "public.keyless",
		"include.unknown.datatypes": "public.good.b",
	})
	expect(map[string]string{"database.user": "sluice_weak"}, map[string]string{
		"database.user":               `ALTER ROLE "sluice_weak" REPLICATION`,
		"publication.autocreate.mode": "CREATE PUBLICATION",
	})
	expect(map[string]string{"database.user": "sluice_weak"}, map[string]string{"database.user": `GRANT SELECT ON "public"."good"`})
	expect(map[string]string{"database.port": "1"}, map[string]string{"database.hostname": "Cannot connect"})
	expect(map[string]string{"database.dbname": "nosuchdb"}, map[string]string{"database.dbname": "nosuchdb"})
	expect(map[string]string{"publication.autocreate.mode": "disabled", "publication.name": "absent"}, map[string]string{"publication.name": "CREATE PUBLICATION"})
	expect(map[string]string{"table.include.list": "nothing.here"}, map[string]string{"table.include.list": "No table"})
	expect(map[string]string{"signal.data.collection": "public.nosignals", "signal.enabled.channels": "source,jmx"}, map[string]string{"signal.data.collection": `CREATE TABLE "public"."nosignals" (id varchar(64)`})
	expect(map[string]string{"signal.data.collection": "public.good"}, map[string]string{"signal.data.collection": "three are needed"})
	expect(map[string]string{"message.key.columns": "public.good:nope"}, map[string]string{"message.key.columns": "nope"})
}

// TestAlterOffsets judges offsets that a person wrote.
func TestAlterOffsets(t *testing.T) {
	a := postgres.New().(connectors.OffsetAlterer)
	config := map[string]string{"topic.prefix": "p", "database.hostname": "h", "database.dbname": "d"}
	part := func(p, o string) []connectors.SourceOffset {
		return []connectors.SourceOffset{{Partition: json.RawMessage(p), Offset: json.RawMessage(o)}}
	}
	for _, good := range [][]connectors.SourceOffset{
		part(`{"server":"p"}`, `{"lsn":5}`), part(`{"server":"p"}`, `null`), {{Partition: json.RawMessage(`{"server":"p"}`)}},
		part(`{"server":"p"}`, `{"lsn_proc":515577752,"messageType":"DELETE","lsn_commit":515577752,"lsn":515577752,"txId":1198,"ts_usec":1795257482932594}`),
	} {
		if done, err := a.AlterOffsets(context.Background(), config, good); err != nil || done {
			t.Errorf("%s: %v %v", good[0].Offset, done, err)
		}
	}
	for _, bad := range [][]connectors.SourceOffset{
		part(`{"server":"q"}`, `{"lsn":5}`), part(`{"file":"p"}`, `{"lsn":5}`), part(`{"server":"p","x":1}`, `{"lsn":5}`),
		part(`{"server":"p"}`, `{}`), part(`{"server":"p"}`, `{"lsn":"0/5"}`), part(`{"server":"p"}`, `5`), part(`5`, `{"lsn":5}`),
	} {
		if _, err := a.AlterOffsets(context.Background(), config, bad); err == nil {
			t.Errorf("%s %s was taken", bad[0].Partition, bad[0].Offset)
		}
	}
}

// TestKeyOfTheLog reads changes that were made before the key was renamed, changed, and dropped with its table.
func TestKeyOfTheLog(t *testing.T) {
	b := newBench(t)
	b.exec(`CREATE TABLE a (id int PRIMARY KEY, n int NOT NULL); CREATE TABLE c (id int PRIMARY KEY, n int NOT NULL);
CREATE TABLE d (id int PRIMARY KEY, n int)`)
	r := b.start(b.config(map[string]string{"snapshot.mode": "no_data"}), nil)
	b.awaitStream(r, b.db)
	b.exec("INSERT INTO a VALUES (0, 0)")
	r.until("an offset", func() bool { return r.count() == 1 })
	r.stop()
	_, offsets := r.taken()
	b.exec("INSERT INTO a VALUES (1, 2); INSERT INTO c VALUES (1, 2); INSERT INTO d VALUES (1, 2); DELETE FROM d")
	b.exec("ALTER TABLE a RENAME id TO ident; ALTER TABLE c DROP CONSTRAINT c_pkey; ALTER TABLE c ADD PRIMARY KEY (n); DROP TABLE d")
	b.exec("INSERT INTO a VALUES (3, 4); INSERT INTO c VALUES (3, 4)")
	r = b.start(b.config(nil), offsets)
	r.until("all changes", func() bool { return r.count() == 7 })
	records, _ := r.taken()
	var keys []string
	for _, l := range lines(t, records) {
		keys = append(keys, strings.Join(strings.Fields(l)[:2], " "))
	}
	want := []string{`p.public.a {"id":1}`, `p.public.c {"id":1}`, `p.public.d {"id":1}`, `p.public.d {"id":1}`, `p.public.d {"id":1}`,
		`p.public.a {"ident":3}`, `p.public.c {"n":4}`}
	sameLines(t, "keys", want, keys)
	for _, r := range records {
		if r.Key.Schema == nil || r.Key.Schema.Fields[0].Schema.Optional {
			t.Errorf("%s: the key may be null", r.Topic)
		}
	}
}
