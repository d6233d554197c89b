package postgres

import (
	"context"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/sluicehub/sluice/connectors/cdc"
)

// A snapshot that was interrupted goes on with the chunks that were not delivered. Those that were are as of P1; the
// catch-up has brought them to P2, the point of the new exported snapshot, in which the rest is read:
//
//	                    P1                P2
//	chunks delivered     ├── catch-up ────┤
//	the rest                              ├── rows as of P2 ── then the changes from P2 on
//
// A chunk is a range of pages, and a row can move from one page to another. So it must be said of each row as of P2 why it
// is not missing. If its version is older than P1, it lay at P1 where it lies now: in a page that was delivered, or in one
// of the rest. If it is younger, the catch-up has brought it; but perhaps without a large value that did not change
// (TOAST), and the version that had it lay in a page that was never read. So what is younger than P1 in the delivered
// pages is read once more, as of P2, before the rest. A version's xmin says that it is younger: what P1 did not see has a
// transaction that is not less than the xmin of the snapshot of P1.
//
// A table that was rewritten meanwhile (VACUUM FULL, TRUNCATE, some ALTER TABLE) has another file, and its pages other rows.
// One that was altered has rows of two kinds. Both begin anew, which their form says (cdc.Reached).

// form is what the pages of a table that are delivered are worth nothing without.
func (e *entry) form() string {
	h := fnv.New64a()
	for _, a := range e.Attrs {
		fmt.Fprintf(h, "%s\x00%d %d\x00", a.Name, a.Type, a.Mod)
	}
	fmt.Fprintf(h, "%q", e.Key)
	return strconv.FormatUint(uint64(e.file), 10) + "/" + strconv.FormatUint(h.Sum64(), 16)
}

// inside returns the page at which the snapshot goes on in the middle of the table; ok is false if it begins with it.
func (t *task) inside(src *source, r *cdc.Reached) (page int64, ok bool) {
	e := src.entry
	if !r.In(e.Table) {
		return 0, false
	}
	page, err := strconv.ParseInt(r.From, 10, 64)
	if err != nil || r.Form != src.form || e.pages == 0 {
		t.log.Warn("the interrupted snapshot begins anew with a table that was altered or rewritten meanwhile", "table", e.Table.String())
		return 0, false
	}
	return page, true
}

// reached is how far rows have been appended: up to the chunk of the row that waits for its marker.
func (sn *snapshot) reached() *cdc.Reached {
	if sn.held == len(sn.plan) {
		return nil
	}
	chunk := sn.plan[sn.held]
	if chunk.Since != "" {
		return sn.resumed
	}
	src := sn.tables[chunk.Table]
	r := &cdc.Reached{Schema: chunk.Table.Schema, Table: chunk.Table.Name, Before: src.before, From: chunk.From, Chunks: sn.held}
	if sn.resumed != nil {
		r.Chunks += sn.resumed.Chunks
	}
	if chunk.From != "" {
		r.Form, r.Since = src.form, sn.since
	}
	if r.Chunks == 0 {
		return nil
	}
	return r
}

// files reads which files the tables are in.
func (c *catalog) files(ctx context.Context, entries []*entry) error {
	if len(entries) == 0 {
		return nil
	}
	byOID := map[uint32]*entry{}
	var oids []string
	for _, e := range entries {
		byOID[e.oid] = e
		oids = append(oids, strconv.FormatUint(uint64(e.oid), 10))
	}
	rows, err := c.conn.Query(ctx, "SELECT oid, coalesce(pg_relation_filenode(oid), 0) FROM pg_class WHERE oid IN ("+strings.Join(oids, ", ")+")")
	if err != nil {
		return fmt.Errorf("read the files of the tables: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var oid, file uint32
		if err := rows.Scan(&oid, &file); err != nil {
			return fmt.Errorf("read the files of the tables: %w", err)
		}
		byOID[oid].file = file
	}
	return rows.Err()
}
