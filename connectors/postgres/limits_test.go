package postgres_test

import (
	"fmt"
	"strconv"
	"testing"
)

// TestMaxBatchSize reads the same rows and changes with batches of different sizes.
func TestMaxBatchSize(t *testing.T) {
	b := newBench(t)
	b.exec("CREATE TABLE a (id int PRIMARY KEY, pad text); INSERT INTO a SELECT i, 'x' FROM generate_series(1, 40) i")
	for _, size := range []int{2048, 1, 4, 5} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			b.t = t
			config := b.config(map[string]string{"max.batch.size": strconv.Itoa(size), "slot.name": fmt.Sprintf("%s_%d", b.db, size),
				"provide.transaction.metadata": strconv.FormatBool(size != 5)})
			r := b.start(config, nil)
			b.awaitStream(r, config["slot.name"])
			b.exec(`BEGIN; INSERT INTO a SELECT i, 'y' FROM generate_series(41, 60) i; UPDATE a SET id = id + 1000 WHERE id <= 10;
UPDATE a SET pad = 'z' WHERE id <= 40; DELETE FROM a WHERE id BETWEEN 20 AND 40; COMMIT; TRUNCATE a`)
			b.exec("INSERT INTO a SELECT i, 'x' FROM generate_series(1, 40) i")
			b.settle(r, config["slot.name"])
			r.stop()
			records, _ := r.taken()
			before := 0
			for i, n := range r.counts {
				// One change of a key has three records, and its transaction's begin may stand before it.
				if n-before > max(size, 4) {
					t.Errorf("batch %d has %d records, ending with offset %s", i, n-before, r.all[i])
				}
				before = n
			}
			want := 40 + 20 + 10*3 + 30 + 21*2 + 40 // rows, inserts, moves, updates, deletes, inserts
			if size != 5 {
				want += 3 * 2 // begins and ends, also of the truncation, of which nothing else is written
			}
			if got := len(records); got != want {
				t.Errorf("%d records, want %d", got, want)
			}
		})
	}
}

// TestRefusedRowIsMasked lets a row be refused that has columns that nobody is to see.
func TestRefusedRowIsMasked(t *testing.T) {
	b := newBench(t)
	b.exec("CREATE TABLE a (id int PRIMARY KEY, n numeric(5,2), secret text, hidden text, long text)")
	r := b.start(b.config(map[string]string{"test.tolerate": "yes", "column.mask.with.4.chars": `public\.a\.secret`,
		"column.truncate.to.2.chars": `public\.a\.long`, "column.exclude.list": `public\.a\.hidden`}), nil)
	b.awaitStream(r, b.db)
	b.exec("INSERT INTO a VALUES (2, 'NaN', 'password', 'password', 'password'); INSERT INTO a VALUES (3, 1, 'password', 'password', 'password')")
	r.until("the good row", func() bool { return r.count() == 1 })
	if len(r.bad) != 1 || string(r.bad[0].Value.Bytes) != `{"id":"2","n":"NaN","secret":"****","long":"pa"}` {
		t.Errorf("%+v", r.bad)
	}
	records, _ := r.taken()
	if got := lines(t, records)[0]; got != `p.public.a {"id":3} null {"id":3,"n":"ZA==","secret":"****","long":"pa"} "c"` {
		t.Error(got)
	}
}
