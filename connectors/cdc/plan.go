package cdc

// Table names a table in a database's own words.
type Table struct{ Schema, Name string }

// String returns schema.table, the name that filters and offsets use.
func (t Table) String() string { return t.Schema + "." + t.Name }

// Range is a part of a table, between two bounds of a column or of the physical position: data that can be stored
// and read again, so that a snapshot can go on where it stopped. From belongs to it, To does not; an empty bound is
// none. What a bound looks like is the database's own ("128" for a page, the text of a key).
type Range struct {
	By   string `json:"by,omitempty"` // "" is the whole table
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// Chunk is one unit of reading of a snapshot.
type Chunk struct {
	Table Table `json:"table"`
	// Index counts the chunks of the table from 0; Last is set on its last one.
	Index int  `json:"index"`
	Last  bool `json:"last"`
	Range
}

// Plan is a snapshot as a list of chunks, in the order in which their rows are delivered. Chunks may be read ahead
// and in parallel, but rows leave in this order, so that the order does not depend on the number of threads.
type Plan []Chunk

// Extent is what the planner knows of a table: from where to where it can be cut, in steps.
type Extent struct {
	Table Table
	By    string // what From and To count; "" if the table cannot be cut
	// Bounds are the inner cuts, in order: n bounds make n+1 chunks.
	Bounds []string
}

// NewPlan returns the chunks of the tables, in order.
func NewPlan(tables []Extent) Plan {
	var plan Plan
	for _, t := range tables {
		from := ""
		for i := 0; i <= len(t.Bounds); i++ {
			c := Chunk{Table: t.Table, Index: i, Last: i == len(t.Bounds), Range: Range{By: t.By, From: from}}
			if !c.Last {
				c.To = t.Bounds[i]
			}
			from = c.To
			plan = append(plan, c)
		}
	}
	return plan
}

// Markers decides what the source block of each snapshot row says. It is one row behind: whether a row is the last
// one of its table, or of all, is known only when the next row is there, or is known not to come.
type Markers struct {
	waiting bool // there is a row whose marker is not decided yet
	first   bool // it is the first row of all
	opens   bool // it is the first row of its table
}

// Row is called for each row, with whether its table is another than that of the row before. It returns the marker
// of the row before; ok is false if there is none.
func (m *Markers) Row(newTable bool) (previous Snapshot, ok bool) {
	had := *m
	*m = Markers{waiting: true, first: !had.waiting, opens: !had.waiting || newTable}
	switch {
	case !had.waiting:
		return "", false
	case had.first:
		return First, true
	case newTable:
		return LastOfTable, true
	case had.opens:
		return FirstOfTable, true
	}
	return InSnapshot, true
}

// End returns the marker of the last row of all; ok is false if there was no row.
func (m *Markers) End() (last Snapshot, ok bool) { return Last, m.waiting }
