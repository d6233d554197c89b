package cdc

// windowBytes ends a chunk whose rows are large.
const windowBytes = 16 << 20

// Window holds the rows of one chunk, in the order of the table's key, until the stream has come to where they were
// read. It is bounded by rows and bytes, and used by one goroutine.
type Window struct {
	rows  []windowRow
	byKey map[string]int
	bytes []byte
	at    int // the next row to be taken
	limit int
	full  bool
}

// windowRow is a row as its database sent it.
type windowRow struct {
	start, end int      // in bytes
	key        []string // its place in the order
	dropped    bool
}

// reset empties the window for a chunk of at most that many rows.
func (w *Window) reset(limit int) {
	if cap(w.bytes) > 2*windowBytes {
		w.bytes = nil
	}
	clear(w.byKey)
	if w.byKey == nil {
		w.byKey = map[string]int{}
	}
	w.rows, w.bytes, w.at, w.limit, w.full = w.rows[:0], w.bytes[:0], 0, limit, false
}

// Add adds a row: what its changes are known by, its place in the table's order, and its bytes, which are copied. It
// reports false if the row was not taken because the window is full; then it takes no more.
func (w *Window) Add(identity []byte, key []string, row []byte) bool {
	w.full = w.full || len(w.rows) >= w.limit || len(w.rows) > 0 && len(w.bytes)+len(row) > windowBytes
	if w.full {
		return false
	}
	start := len(w.bytes)
	w.bytes = append(w.bytes, row...)
	w.byKey[string(identity)] = len(w.rows)
	w.rows = append(w.rows, windowRow{start: start, end: len(w.bytes), key: key})
	return true
}

// drop takes the row of that identity out.
func (w *Window) drop(identity []byte) (was bool) {
	i, ok := w.byKey[string(identity)]
	if ok {
		w.rows[i].dropped = true
	}
	return ok
}

// dropAll takes all rows out.
func (w *Window) dropAll() {
	for i := range w.rows {
		w.rows[i].dropped = true
	}
}

// next returns the next row that was not taken out, and the key up to which all rows have been returned.
func (w *Window) next() (row []byte, key []string, ok bool) {
	for ; w.at < len(w.rows); w.at++ {
		r := &w.rows[w.at]
		key = r.key
		if !r.dropped {
			w.at++
			return w.bytes[r.start:r.end:r.end], key, true
		}
	}
	return nil, key, false
}
