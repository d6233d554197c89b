package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// Validate checks the configuration against the server: everything that would stop the task, or surprise later, with
// the SQL that mends it.
func (connector) Validate(ctx context.Context, config map[string]string) []configs.Problem {
	s, err := parse(config)
	if err != nil {
		return []configs.Problem{configs.KeyError("", err.Error())}
	}
	conn, err := s.connect(ctx)
	if err != nil {
		return []configs.Problem{connectProblem(err)}
	}
	defer conn.Close(context.WithoutCancel(ctx))
	p := &preflight{s: s, conn: conn, user: conn.Config().User}
	for _, check := range []func(context.Context) error{p.server, p.role, p.slot, p.publication, p.tables, p.signals} {
		if err := check(ctx); err != nil {
			p.add(configs.KeyError("database.hostname", "The checks could not be finished: "+err.Error()))
			break
		}
	}
	return p.problems
}

// connectProblem puts the reason why there is no connection on the key that is to blame.
func connectProblem(err error) configs.Problem {
	key := "database.hostname"
	var pg *pgconn.PgError
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
	case errors.Is(err, errNoUser):
		key = "database.user"
	case errors.As(err, &pg):
		switch pg.Code {
		case "28P01":
			key = "database.password"
		case "28000":
			key = "database.user"
		case "3D000":
			key = "database.dbname"
		}
	case strings.Contains(err.Error(), "database.initial.statements"):
		key = "database.initial.statements"
	case strings.Contains(err.Error(), "tls") || strings.Contains(err.Error(), "certificate"):
		key = "database.sslmode"
	}
	return configs.KeyError(key, "Cannot connect: "+err.Error())
}

// preflight collects problems.
type preflight struct {
	s        *settings
	conn     *pgx.Conn
	user     string
	super    bool
	viaRoot  bool
	problems []configs.Problem
}

func (p *preflight) add(problem configs.Problem) { p.problems = append(p.problems, problem) }

func (p *preflight) bad(key, format string, args ...any) {
	p.add(configs.KeyError(key, fmt.Sprintf(format, args...)))
}

func (p *preflight) warn(key, format string, args ...any) {
	p.add(configs.KeyWarning(key, fmt.Sprintf(format, args...)))
}

// streams reports whether a replication slot is needed.
func (p *preflight) streams() bool { return p.s.snapshotMode != "initial_only" }

func (p *preflight) server(ctx context.Context) error {
	var version, slots, slotsUsed, senders, sendersUsed int
	var level string
	var standby, exists bool
	err := p.conn.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('wal_level'), pg_is_in_recovery(),
  current_setting('max_replication_slots')::int, (SELECT count(*) FROM pg_replication_slots),
  current_setting('max_wal_senders')::int, (SELECT count(*) FROM pg_stat_replication),
  EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = `+quoteText(p.s.slot)+")").
		Scan(&version, &level, &standby, &slots, &slotsUsed, &senders, &sendersUsed, &exists)
	if err != nil {
		return fmt.Errorf("read the server's settings: %w", err)
	}
	if !p.streams() {
		return nil
	}
	if version < 100000 {
		p.bad("database.hostname", "The server has version %d; logical replication with pgoutput needs PostgreSQL 10 or newer.", version/10000)
	}
	if level != "logical" {
		p.bad("database.hostname", "wal_level is %s. Mend: ALTER SYSTEM SET wal_level = logical; then restart the server.", level)
	}
	if standby && version < 160000 {
		p.bad("database.hostname", "The server is a standby; slots on standbys need PostgreSQL 16 or newer. Connect to the primary.")
	}
	if !exists && slotsUsed >= slots {
		p.bad("slot.name", "All %d replication slots are taken. Mend: drop one that is not needed (SELECT pg_drop_replication_slot('…')), or ALTER SYSTEM SET max_replication_slots = %d; then restart the server.", slots, slots+4)
	}
	if sendersUsed >= senders {
		p.bad("slot.name", "All %d WAL senders are in use. Mend: ALTER SYSTEM SET max_wal_senders = %d; then restart the server.", senders, senders+4)
	}
	return nil
}

func (p *preflight) role(ctx context.Context) error {
	var replication bool
	// Managed services give the right through a role of theirs.
	err := p.conn.QueryRow(ctx, `SELECT r.rolsuper, r.rolsuper OR r.rolreplication OR EXISTS (
    SELECT FROM pg_roles m WHERE m.rolname IN ('rds_replication', 'rds_superuser', 'cloudsqlsuperuser', 'azure_pg_admin') AND pg_has_role(r.rolname, m.oid, 'MEMBER'))
FROM pg_roles r WHERE r.rolname = current_user`).Scan(&p.super, &replication)
	if err != nil {
		return fmt.Errorf("read the role's attributes: %w", err)
	}
	if !replication && p.streams() {
		p.bad("database.user", "The role %s may not replicate. Mend: ALTER ROLE %s REPLICATION (on Amazon RDS: GRANT rds_replication TO %[2]s).", p.user, quote(p.user))
	}
	return nil
}

func (p *preflight) slot(ctx context.Context) error {
	sl, err := findSlot(ctx, p.conn, p.s.slot)
	if err != nil || sl == nil || !p.streams() {
		return err
	}
	drop := dropSQL(p.s.slot)
	switch {
	case sl.plugin != "pgoutput":
		p.bad("slot.name", "The slot %s is not of pgoutput (%q). Take another name, or drop it: %s.", p.s.slot, sl.plugin, drop)
	case sl.database != p.s.v.String("database.dbname"):
		p.bad("slot.name", "The slot %s is of the database %s. Take another name.", p.s.slot, sl.database)
	case sl.status == "lost" && p.s.snapshotMode != "when_needed" && p.s.snapshotMode != "always":
		p.bad("slot.name", "The slot %s is lost: the server removed WAL that it needed. Mend: %s; then delete the connector's offsets, so that the tables are read anew.", p.s.slot, drop)
	}
	return nil
}

func (p *preflight) publication(ctx context.Context) error {
	if !p.streams() {
		return nil
	}
	pub, err := findPublication(ctx, p.conn, p.s.publication)
	if err != nil {
		return err
	}
	mode := p.s.v.String("publication.autocreate.mode")
	p.viaRoot = p.s.v.Bool("publish.via.partition.root")
	if pub != nil {
		p.viaRoot = pub.viaRoot
		if mode == "filtered" && pub.allTables {
			p.bad("publication.autocreate.mode", "The publication %s is for all tables. Mend: DROP PUBLICATION %s, or set publication.autocreate.mode=all_tables.", p.s.publication, quote(p.s.publication))
		}
		if !pub.inserts || !pub.updates || !pub.deletes {
			p.warn("publication.name", "The publication %s leaves out some kinds of changes. Mend: ALTER PUBLICATION %s SET (publish = 'insert, update, delete, truncate').", p.s.publication, quote(p.s.publication))
		}
		return nil
	}
	switch {
	case mode == "disabled":
		p.bad("publication.name", "There is no publication %s, and publication.autocreate.mode=disabled. Mend: %s.", p.s.publication, p.s.createSQL(nil))
	case mode == "all_tables" && !p.super:
		p.bad("publication.autocreate.mode", "Only a superuser can create a publication for all tables, and %s is none. Mend: let a superuser run %s, or set publication.autocreate.mode=filtered.", p.user, p.s.createSQL(nil))
	case mode == "filtered":
		var may bool
		if err := p.conn.QueryRow(ctx, "SELECT has_database_privilege(current_database(), 'CREATE')").Scan(&may); err != nil {
			return err
		}
		if !may {
			p.bad("publication.name", "The role %s may not create a publication. Mend: GRANT CREATE ON DATABASE %s TO %s.", p.user, quote(p.s.v.String("database.dbname")), quote(p.user))
		}
	}
	return nil
}

// tables checks what is captured.
func (p *preflight) tables(ctx context.Context) error {
	cat := newCatalog(p.conn)
	entries, err := cat.tables(ctx, p.s.captures, partitionCondition(p.viaRoot))
	if err != nil {
		return err
	}
	pub, err := findPublication(ctx, p.conn, p.s.publication)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		p.warn("table.include.list", "No table of the database is captured. Tables are written schema.table, and each pattern must match the whole name.")
	}
	c := &compiler{s: p.s, source: sourceSchema(), block: cdc.Block(), codecs: codecs{modes: p.s.values},
		lookup: func(oid uint32) (typ, bool) { return cat.lookup(ctx, oid) }}
	f := &findings{}
	for _, e := range entries {
		if err := cat.fill(ctx, e); err != nil {
			return err
		}
		p.table(c, e, pub, f)
	}
	p.report(f)
	return nil
}

// findings are tables by what is the matter with them, so that a schema of a thousand tables gives a few lines.
type findings struct {
	unreadable, secured, foreign, unpublished, silent, keyless, unchanged []*entry
	dropped                                                               []string
}

func (p *preflight) table(c *compiler, e *entry, pub *publication, f *findings) {
	e.keyed(p.s.keys)
	t, err := c.compile(e.shape)
	if err != nil {
		p.bad("message.key.columns", "%v.", err)
		return
	}
	for _, col := range t.dropped {
		if p.s.columns.Allows(t.id + "." + col) {
			f.dropped = append(f.dropped, t.id+"."+col)
		}
	}
	mode := p.s.v.String("publication.autocreate.mode")
	if !e.readable && p.s.snapshotMode != "no_data" {
		f.unreadable = append(f.unreadable, e)
	}
	if e.secured && p.s.snapshotMode != "no_data" {
		f.secured = append(f.secured, e)
	}
	if !p.streams() {
		return
	}
	if !e.owned && !p.super && mode == "filtered" && (pub == nil || !pub.publishes(e.Table)) {
		f.foreign = append(f.foreign, e)
	}
	if pub != nil && mode != "filtered" && !pub.publishes(e.Table) {
		f.unpublished = append(f.unpublished, e)
	}
	if e.identity == 'n' || e.identity == 'd' && e.primary == nil {
		f.silent = append(f.silent, e)
	}
	if len(e.Key) == 0 {
		f.keyless = append(f.keyless, e)
	}
	if !p.s.unchangedToo && e.identity != 'f' {
		f.unchanged = append(f.unchanged, e)
	}
}

// report writes one problem for each kind of finding.
func (p *preflight) report(f *findings) {
	user := quote(p.user)
	if len(f.unreadable) > 0 {
		p.bad("database.user", "The role %s may not read %s. Mend: GRANT SELECT ON %s TO %s.", p.user, some(f.unreadable), tableList(f.unreadable), user)
	}
	if len(f.secured) > 0 {
		p.bad("database.user", "Row-level security hides rows of %s from the role %s, but not their changes. Mend: %s.", some(f.secured), p.user, bypassSQL(user))
	}
	if len(f.foreign) > 0 {
		p.bad("publication.autocreate.mode", "Only the owner of a table can add it to a publication, and %s does not own %s. Mend: let the owner create the publication %s.", p.user, some(f.foreign), p.s.publication)
	}
	if len(f.unpublished) > 0 {
		p.warn("publication.name", "The publication %s does not contain %s, so no changes of them arrive. Mend: ALTER PUBLICATION %s ADD TABLE %s.", p.s.publication, some(f.unpublished), quote(p.s.publication), tableList(f.unpublished))
	}
	if len(f.silent) > 0 {
		p.warn("table.include.list", "%s have no replica identity: once published, UPDATE and DELETE on them fail in the sessions of the applications. Mend: %s.", some(f.silent), identitySQL(f.silent))
	}
	if len(f.keyless) > 0 {
		p.warn("message.key.columns", "%s have no key: their records have none either, so compaction and upserts do not work. Mend: add a primary key, or name columns in message.key.columns.", some(f.keyless))
	}
	if len(f.unchanged) > 0 {
		p.warn("skip.messages.without.change", "It has no effect for %s. Mend: %s.", some(f.unchanged), identitySQL(f.unchanged))
	}
	if len(f.dropped) > 0 {
		list := f.dropped
		if len(list) > most {
			list = append(list[:most:most], "…")
		}
		p.warn("include.unknown.datatypes", "Columns of types without a mapping are left out: %s. Set include.unknown.datatypes=true to take them as bytes.", strings.Join(list, ", "))
	}
}

// most is how many tables a message names.
const most = 10

func some(tables []*entry) string {
	var names []string
	for i, e := range tables {
		if i == most {
			names = append(names, fmt.Sprintf("and %d more", len(tables)-most))
			break
		}
		names = append(names, e.Table.String())
	}
	return strings.Join(names, ", ")
}

func identitySQL(tables []*entry) string {
	var out []string
	for i, e := range tables {
		if i == most {
			out = append(out, "…")
			break
		}
		out = append(out, "ALTER TABLE "+quote(e.Table.Schema)+"."+quote(e.Table.Name)+" REPLICA IDENTITY FULL")
	}
	return strings.Join(out, "; ")
}
