package mysql

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// mark is a place in the log.
type mark struct {
	File string `json:"file"`
	Pos  uint64 `json:"pos"`
	GTID string `json:"gtid,omitempty"` // of the transaction that ends there
}

// compare orders two places of one server's log: files have growing numbers at the end of their names.
func (m mark) compare(o mark) int {
	if c := cmp.Compare(fileNumber(m.File), fileNumber(o.File)); c != 0 {
		return c
	}
	return cmp.Compare(m.Pos, o.Pos)
}

func fileNumber(name string) uint64 {
	n, _ := strconv.ParseUint(name[strings.LastIndexByte(name, '.')+1:], 10, 64)
	return n
}

// storedVersions is the source offset of a table: what is known of it, and by the log of which server.
type storedVersions struct {
	Server   string  `json:"server_uuid,omitempty"`
	Versions []dated `json:"versions"`
}

// dated is a table's definition from a place in the log on; nil where it was dropped.
type dated struct {
	mark
	Definition *definition `json:"definition"`
}

// history knows the definitions of tables at the place that is being read. It begins with the catalog, and each
// statement that changes a table moves it. It is stored, each table as a source partition of its own, so that it can go on
// from any place that was committed. Where the log describes itself, only what it does not say is taken from here:
//
//	{"server":PREFIX,"table":"db.t"} → {"server_uuid":…,"versions":[{"file":…,"pos":…,"gtid":…,"definition":{…}},…]}
//
// A version is kept for as long as a committed position is before its successor. Source partitions are not written at
// once: definitions are offered alone, and no position behind them before they are durable. A position without its
// definitions would read the rows that follow into the wrong columns.
type history struct {
	s       *settings
	catalog *catalog
	log     *slog.Logger

	tables    map[cdc.Table]*tableHistory
	databases map[string]string // character sets
	dirty     map[cdc.Table]bool

	mu      sync.Mutex
	durable mark            // the last committed position
	offered map[string]bool // tables whose definitions are on their way to the log
	saved   chan struct{}   // the last of them is durable
}

// tableHistory is what is known of one table.
type tableHistory struct {
	versions []dated
	// doubt is a statement that could not be read: what is known may be wrong. "" is none. unread is the last such
	// statement, after which the definition was read from the server.
	doubt, unread string
	// head is where the log was when the catalog was read, if that is later than what is being read: a statement
	// before that place is in the definition already. trusted says that rows before it were read with the definition,
	// as if there were no such statement.
	head    *mark
	trusted bool
}

func newHistory(s *settings, c *catalog, log *slog.Logger) *history {
	return &history{s: s, catalog: c, log: log, tables: map[cdc.Table]*tableHistory{}, databases: map[string]string{}, dirty: map[cdc.Table]bool{},
		offered: map[string]bool{}, saved: make(chan struct{}, 1)}
}

// follows reports whether the table's definition is kept: of captured ones, and for schema changes of all in captured
// databases.
func (h *history) follows(name cdc.Table) bool {
	return h.s.captures(name) || h.s.schemaChanges && h.s.capturesDatabase(name.Schema)
}

// definition returns a table's definition where the log is being read, nil if none is known.
func (h *history) definition(name cdc.Table) *definition {
	t := h.tables[name]
	if t == nil || len(t.versions) == 0 {
		return nil
	}
	return t.versions[len(t.versions)-1].Definition
}

// names returns the tables of a database that have a definition.
func (h *history) names(database string) (out []cdc.Table) {
	for name := range h.tables {
		if name.Schema == database && h.definition(name) != nil {
			out = append(out, name)
		}
	}
	return out
}

func (h *history) charset(database string) string {
	if c, ok := h.databases[database]; ok {
		return c
	}
	c, _, err := h.catalog.databaseCharset(context.Background(), database)
	if err != nil {
		return "utf8mb4"
	}
	h.databases[database] = c
	return c
}

// databaseIs says which character set new tables of a database get from now on; "" is not known.
func (h *history) databaseIs(database, charset string) {
	if charset == "" {
		delete(h.databases, database)
	} else {
		h.databases[database] = charset
	}
}

// set makes a definition the one from the place on.
func (h *history) set(name cdc.Table, def *definition, at mark) {
	if !h.follows(name) {
		return
	}
	t := h.tables[name]
	if t == nil {
		t = &tableHistory{}
		h.tables[name] = t
	}
	h.mu.Lock()
	durable := h.durable
	h.mu.Unlock()
	// All before the last one that holds at the durable position are done with.
	first := 0
	for i := range t.versions {
		if t.versions[i].compare(durable) <= 0 {
			first = i
		}
	}
	t.versions = append(slices.Clone(t.versions[first:]), dated{at, def})
	t.doubt, t.head, t.trusted = "", nil, false
	h.dirty[name] = true
}

// committed says that everything before the place is durable.
func (h *history) committed(p position) {
	h.mu.Lock()
	h.durable = mark{File: p.File, Pos: p.Pos}
	h.mu.Unlock()
}

// doubts says that a statement could not be read: of these tables, or of all if none are named.
func (h *history) doubts(tables []cdc.Table, statement string) {
	if len(tables) == 0 {
		for _, t := range h.tables {
			t.doubt = statement
		}
		return
	}
	for _, name := range tables {
		if h.tables[name] == nil {
			h.tables[name] = &tableHistory{}
		}
		h.tables[name].doubt = statement
	}
}

// reread takes a table's definition from the catalog, which may be later than the log. It is that of the log's end when
// it is the same before and after the end was read.
func (h *history) reread(ctx context.Context, name cdc.Table, at mark) (*definition, error) {
	def, err := h.catalog.define(ctx, name)
	for err == nil && def != nil {
		var head position
		if head, err = h.catalog.server.here(ctx, h.catalog.conn); err != nil {
			break
		}
		before := def
		if def, err = h.catalog.define(ctx, name); err == nil && def != nil && sameDefinition(before, def) {
			h.set(name, def, at)
			h.tables[name].head = &mark{File: head.File, Pos: head.Pos}
			return def, nil
		}
	}
	return nil, err
}

// readAll takes all definitions from the catalog.
func (h *history) readAll(ctx context.Context, at mark, head *mark) ([]*entry, error) {
	entries, err := h.catalog.tables(ctx, h.follows)
	if err != nil {
		return nil, trouble("list tables", err)
	}
	var out []*entry
	for _, e := range entries {
		if e.def, err = h.catalog.define(ctx, e.name); err != nil {
			return nil, trouble("read the definition of "+e.name.String(), err)
		}
		if e.def == nil {
			continue // dropped this moment
		}
		h.set(e.name, e.def, at)
		if head != nil {
			h.tables[e.name].head = head
		}
		out = append(out, e)
	}
	return out, nil
}

// load takes up what was stored, as of the position. It reports whether there was anything.
func (h *history) load(offsets []connectors.SourceOffset, p *position) (bool, error) {
	found := false
	for _, o := range offsets {
		var part sourcePartition
		if json.Unmarshal(o.Partition, &part) != nil || part.Server != h.s.prefix || part.Table == "" || len(o.Offset) == 0 || string(o.Offset) == "null" {
			continue
		}
		var stored storedVersions
		if err := json.Unmarshal(o.Offset, &stored); err != nil {
			return false, fmt.Errorf("the stored definition of %s: %w", part.Table, err)
		}
		db, table, _ := strings.Cut(part.Table, ".")
		t := &tableHistory{}
		for _, v := range stored.Versions {
			if !h.holds(&v.mark, p) {
				break
			}
			t.versions = append(t.versions, v)
		}
		if len(t.versions) > 1 {
			t.versions = t.versions[len(t.versions)-1:]
		}
		h.tables[cdc.Table{Schema: db, Name: table}] = t
		found = true
	}
	h.durable = mark{File: p.File, Pos: p.Pos}
	return found, nil
}

// holds reports whether a version's place is before the position. GTIDs decide where there are some: another server's
// files have other numbers.
func (h *history) holds(m *mark, p *position) bool {
	if m.GTID != "" && p.GTIDs != "" {
		all, err1 := h.s.flavor.parseGTIDs(p.GTIDs)
		one, err2 := h.s.flavor.parseGTIDs(m.GTID)
		if err1 == nil && err2 == nil {
			return all.Contain(one)
		}
	}
	return m.compare(mark{File: p.File, Pos: p.Pos}) <= 0
}

// changed reports whether there are definitions to be offered.
func (h *history) changed() bool { return len(h.dirty) > 0 }

// confirm says that source offsets are durable.
func (h *history) confirm(offsets []connectors.SourceOffset) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range offsets {
		var part sourcePartition
		if len(h.offered) > 0 && json.Unmarshal(o.Partition, &part) == nil {
			delete(h.offered, part.Table)
		}
	}
	notify(h.saved)
}

// wait waits until all definitions that were offered are durable.
func (h *history) wait(ctx context.Context) error {
	for {
		h.mu.Lock()
		n := len(h.offered)
		h.mu.Unlock()
		if n == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-h.saved:
		}
	}
}

// offsets appends what has changed as source offsets.
func (h *history) offsets(b *connectors.Batch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	names := make([]cdc.Table, 0, len(h.dirty))
	for name := range h.dirty {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b cdc.Table) int { return cmp.Compare(a.String(), b.String()) })
	for _, name := range names {
		h.offered[name.String()] = true
		b.Offsets = append(b.Offsets, connectors.SourceOffset{
			Partition: connectors.MarshalOffset(sourcePartition{Server: h.s.prefix, Table: name.String()}),
			Offset:    connectors.MarshalOffset(storedVersions{h.catalog.server.uuid, h.tables[name].versions})})
	}
	clear(h.dirty)
}
