package mysql

import (
	"encoding/json"
	"hash/fnv"
	"strconv"

	"github.com/sluicehub/sluice/connectors/cdc"
)

// A snapshot that was interrupted goes on with the chunks that were not delivered, which are read as of the moment in
// which the new snapshot's sessions meet, behind the catch-up to it (catchup.go). Chunks are ranges of the primary key: a
// row that comes to lie in a range that was delivered has got another key, and the log has all of it, if binlog_row_image
// is FULL. If it is not, the table that was being read begins anew.

// form is what the delivered ranges of a table are worth nothing without.
func (d *definition) form() string {
	c := *d
	c.Comment = ""
	text, _ := json.Marshal(&c) // of plain fields: cannot fail
	h := fnv.New64a()
	h.Write(text)
	return strconv.FormatUint(h.Sum64(), 16)
}

// resume finds what an interrupted snapshot has delivered of the tables: so many, and the begin of the next one if
// sn.resumed is not nil then.
func (sn *snapshot) resume(tables []cdc.Table, reached *cdc.Reached) (delivered int) {
	if reached == nil {
		return 0
	}
	delivered, ok := reached.Find(tables)
	if !ok {
		sn.t.log.Warn("the interrupted snapshot begins anew: the tables that it has read are not those that are captured now")
		return 0
	}
	sn.resumed, sn.markers.Resumed = reached, true
	return delivered
}

// inside reports whether the snapshot goes on in the middle of the table.
func (sn *snapshot) inside(src *source) bool {
	r := sn.resumed
	if !r.In(src.table.name) {
		return false
	}
	_, err := strconv.ParseInt(r.From, 10, 64)
	switch {
	case err != nil || src.key == "" || r.Form != src.table.def.form():
		sn.t.log.Warn("the interrupted snapshot begins anew with a table that was altered meanwhile", "table", src.table.id)
	case sn.t.server.image != "FULL":
		sn.t.log.Warn("the interrupted snapshot begins anew with the table that was being read, because the log does not have whole rows",
			"table", src.table.id, "binlog_row_image", sn.t.server.image)
	default:
		return true
	}
	return false
}

// reached is how far rows have been appended: up to the chunk of the row that waits for its marker.
func (sn *snapshot) reached() *cdc.Reached {
	if sn.held == len(sn.plan) {
		return nil
	}
	chunk := sn.plan[sn.held]
	src := sn.sources[chunk.Table]
	r := &cdc.Reached{Schema: chunk.Table.Schema, Table: chunk.Table.Name, Before: src.before, From: chunk.From, Chunks: sn.held}
	if sn.resumed != nil {
		r.Chunks += sn.resumed.Chunks
	}
	if chunk.From != "" {
		r.Form = src.table.def.form()
	}
	if r.Chunks == 0 {
		return nil
	}
	return r
}
