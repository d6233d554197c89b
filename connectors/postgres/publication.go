package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehub/sluice/connectors/cdc"
)

// publication is what the catalog says about the publication.
type publication struct {
	allTables, viaRoot        bool
	inserts, updates, deletes bool
	tables                    []string // schema.table, in order: what is sent, a partition as itself or as its root
	members                   []string // schema.table, in order: what was put into it
}

func findPublication(ctx context.Context, conn *pgx.Conn, name string) (*publication, error) {
	var p publication
	err := conn.QueryRow(ctx, `SELECT puballtables, pubinsert, pubupdate, pubdelete, coalesce((to_jsonb(p)->>'pubviaroot')::boolean, false),
  ARRAY(SELECT schemaname || '.' || tablename FROM pg_publication_tables t WHERE t.pubname = p.pubname ORDER BY 1),
  ARRAY(SELECT n.nspname || '.' || c.relname FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE r.prpubid = p.oid ORDER BY 1)
FROM pg_publication p WHERE pubname = `+quoteText(name)).Scan(&p.allTables, &p.inserts, &p.updates, &p.deletes, &p.viaRoot, &p.tables, &p.members)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read publication %s: %w", name, err)
	}
	return &p, nil
}

// publishes reports whether the changes of the table are sent.
func (p *publication) publishes(t cdc.Table) bool { return slices.Contains(p.tables, t.String()) }

// createSQL is the statement that makes the publication under publication.autocreate.mode.
func (s *settings) createSQL(tables []*entry) string {
	sql := "CREATE PUBLICATION " + quote(s.publication)
	switch s.v.String("publication.autocreate.mode") {
	case "all_tables", "disabled":
		sql += " FOR ALL TABLES"
	case "filtered":
		sql += " FOR TABLE " + tableList(tables)
	}
	if s.v.Bool("publish.via.partition.root") {
		sql += " WITH (publish_via_partition_root = true)"
	}
	return sql
}

func tableList(tables []*entry) string {
	var names []string
	for _, e := range tables {
		names = append(names, quote(e.Table.Schema)+"."+quote(e.Table.Name))
	}
	return strings.Join(names, ", ")
}

// ensurePublication makes the publication, or brings it up to date, as publication.autocreate.mode says. It must be
// there before the slot is made: the server looks publications up as they were at the slot's position.
func (t *task) ensurePublication(ctx context.Context) error {
	name, mode := t.s.publication, t.s.v.String("publication.autocreate.mode")
	p, err := findPublication(ctx, t.control, name)
	if err != nil {
		return trouble("read publication "+name, err)
	}
	viaRoot := t.s.v.Bool("publish.via.partition.root")
	if p != nil {
		viaRoot = p.viaRoot
	}
	t.viaRoot = viaRoot
	tables, err := newCatalog(t.control).tables(ctx, t.s.captures, partitionCondition(viaRoot))
	if err != nil {
		return trouble("list tables", err)
	}
	members := tables
	if mode == "filtered" && !viaRoot && t.version >= 130000 { // before, a partitioned table cannot be in a publication
		if members, err = t.rooted(ctx, tables); err != nil {
			return trouble("list partitions", err)
		}
	}
	switch {
	case p == nil && mode == "disabled":
		return wrong("find publication "+name, t.s.createSQL(nil), "there is no publication %s, and publication.autocreate.mode=disabled", name)
	case p == nil && mode == "filtered" && len(tables) == 0:
		return wrong("create publication "+name, "check schema.include.list and table.include.list", "no table is captured")
	case p == nil:
		if _, err := t.control.Exec(ctx, t.s.createSQL(members)); err != nil {
			return trouble("create publication "+name, fmt.Errorf("%s: %w", t.s.createSQL(members), err))
		}
		t.log.Info("publication created", "publication", name, "mode", mode)
	case mode == "filtered" && p.allTables:
		return wrong("check publication "+name, "DROP PUBLICATION "+quote(name)+", or set publication.autocreate.mode=all_tables",
			"publication %s is for all tables, and publication.autocreate.mode=filtered wants only the captured ones in it", name)
	case mode == "filtered":
		return t.updatePublication(ctx, p, tables, members)
	}
	return nil
}

// rooted puts captured partitioned tables in the place of their partitions, so that one that is made later is published
// from its first row on, under its own name.
func (t *task) rooted(ctx context.Context, tables []*entry) ([]*entry, error) {
	c := newCatalog(t.control)
	roots, err := c.tables(ctx, t.s.captures, "AND c.relkind = 'p' AND NOT c.relispartition")
	if err != nil {
		return nil, err
	}
	out := slices.Clone(tables)
	for _, root := range roots {
		if !root.owned { // only its owner can publish it
			continue
		}
		parts, err := c.partitions(ctx, root.oid)
		if err != nil {
			return nil, err
		}
		all := len(out)
		if out = slices.DeleteFunc(out, func(e *entry) bool { return parts[e.oid] }); len(out) < all {
			out = append(out, root)
		}
	}
	return out, nil
}

// updatePublication gives the publication the captured tables, if it has others. One of whole schemas that comes to the
// same tables stays as it is.
func (t *task) updatePublication(ctx context.Context, p *publication, tables, members []*entry) error {
	names := func(list []*entry) (out []string) {
		for _, e := range list {
			out = append(out, e.Table.String())
		}
		slices.Sort(out)
		return out
	}
	sorted := func(list []string) []string { return slices.Sorted(slices.Values(list)) }
	if slices.Equal(names(members), sorted(p.members)) || len(p.members) == 0 && slices.Equal(names(tables), sorted(p.tables)) || len(tables) == 0 {
		return nil
	}
	sql := "ALTER PUBLICATION " + quote(t.s.publication) + " SET TABLE " + tableList(members)
	if _, err := t.control.Exec(ctx, sql); err != nil {
		return trouble("update publication "+t.s.publication, fmt.Errorf("%s: %w", sql, err))
	}
	t.log.Info("publication updated", "publication", t.s.publication, "tables", len(members))
	return nil
}

// partitionCondition selects either the leaves of partitioned tables or their roots, whichever is published.
func partitionCondition(viaRoot bool) string {
	if viaRoot {
		return "AND NOT c.relispartition"
	}
	return "AND c.relkind = 'r'"
}
