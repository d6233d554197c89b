package cdc

// Table names a table in a database's own words.
type Table struct{ Schema, Name string }

// String returns schema.table, the name that filters and offsets use.
func (t Table) String() string { return t.Schema + "." + t.Name }

// Range is a part of a table, between two bounds of a column or of the physical position. From belongs to it, To does
// not; an empty bound is none, so that the last range of a table takes what is added to it. What a bound looks like is the
// database's own ("128" for a page, the text of a key).
type Range struct {
	By   string // "" is the whole table
	From string
	To   string
	// Since leaves rows out that were not written since then (Reached); "" takes all.
	Since string
}

// Chunk is one unit of reading of a snapshot.
type Chunk struct {
	Table Table
	// Index counts the chunks of the table from 0; Last is set on its last one.
	Index int
	Last  bool
	Range
}

// Plan is a snapshot as a list of chunks, in the order in which their rows are delivered. Chunks may be read ahead
// and in parallel, but rows leave in this order, so that the order does not depend on the number of threads.
type Plan []Chunk

// Extent is what the planner knows of a table: from where to where it can be cut, in steps.
type Extent struct {
	Table Table
	By    string // what From and To count; "" if the table cannot be cut
	// From is where an interrupted snapshot goes on; "" is the table's begin. What was written before it since Since is
	// one more chunk, the first; "" needs none.
	From, Since string
	// Bounds are the inner cuts, in order: n bounds make n+1 chunks.
	Bounds []string
}

// NewPlan returns the chunks of the tables, in order.
func NewPlan(tables []Extent) Plan {
	var plan Plan
	for _, t := range tables {
		first := 0
		if t.Since != "" {
			first = 1
			plan = append(plan, Chunk{Table: t.Table, Range: Range{By: t.By, To: t.From, Since: t.Since}})
		}
		from := t.From
		for i := 0; i <= len(t.Bounds); i++ {
			c := Chunk{Table: t.Table, Index: first + i, Last: i == len(t.Bounds), Range: Range{By: t.By, From: from}}
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
	Resumed bool // the first row of all was delivered before an interruption

	waiting bool // there is a row whose marker is not decided yet
	first   bool // it is the first row of all
	opens   bool // it is the first row of its table
}

// Row is called for each row, with whether its table is another than that of the row before, be it of before an
// interruption. It returns the marker of the row before; ok is false if there is none.
func (m *Markers) Row(newTable bool) (previous Snapshot, ok bool) {
	had := *m
	*m = Markers{waiting: true, first: !had.waiting && !had.Resumed, opens: newTable}
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
