package jdbc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicehub/sluice/connectors"
)

// offsetsTable holds the positions of tasks, in the database that has the rows and committed with them.
//
//	connector  topic  part  slot  epoch  next_offset  keyed
//
// Keys are divided into slots, because lanes commit by themselves: next_offset says of the keys of one slot that every
// change below it is in its table. Who opens a partition counts up the epoch of its rows, and every transaction begins
// with an update of its rows that asks for the epoch it knows. So a task that lost its partitions without knowing it
// cannot write any more: its update finds no row. keyed says what made the keys: made otherwise, they are in other slots.
const offsetsTable = "_sluice_offsets"

const offsetsDDL = "CREATE TABLE IF NOT EXISTS " + offsetsTable + " (connector VARCHAR(200) NOT NULL, topic VARCHAR(249) NOT NULL, part INT NOT NULL, " +
	"slot INT NOT NULL, epoch BIGINT NOT NULL, next_offset BIGINT NOT NULL, keyed VARCHAR(64), PRIMARY KEY (connector, topic, part, slot))"

// addKeyed brings a table of an earlier version up to date, which had all columns but the last.
const addKeyed = "ALTER TABLE " + offsetsTable + " ADD COLUMN keyed VARCHAR(64)"

// anyOffsets and anyKeyed ask whether the table is there and may be read, and whether it is up to date.
const (
	anyOffsets = "SELECT epoch FROM " + offsetsTable + " WHERE 1 = 0"
	anyKeyed   = "SELECT keyed FROM " + offsetsTable + " WHERE 1 = 0"
)

// offsets keeps positions in the database.
type offsets struct {
	dialect   dialect
	connector string // as a literal
	keyed     string
	log       *slog.Logger
}

// prepareOffsets makes sure of the table of positions, as far as delivery.guarantee asks for it.
func (t *task) prepareOffsets(ctx context.Context) error {
	if t.guarantee == guaranteeLeast {
		return nil
	}
	o := &offsets{dialect: t.dialect, connector: t.dialect.literal(t.start.Connector), keyed: t.keyMaker(t.start.Config), log: t.start.Log}
	there := false
	err := t.ask(ctx, "make sure of "+offsetsTable, func(c conn) error {
		err := t.made(ctx, c, anyOffsets, offsetsDDL+t.dialect.tableOptions())
		if there = err == nil; there {
			err = t.made(ctx, c, anyKeyed, addKeyed)
		}
		return err
	})
	var ce *connectors.Error
	if errors.As(err, &ce) && !t.passes(ce.Err) {
		ce.Class, ce.Retriable = connectors.ClassConfig, false
		ce.Remedy = "let the user create tables, or create it: " + offsetsDDL + t.dialect.tableOptions() + "; or set delivery.guarantee=at_least_once"
		if there {
			ce.Remedy = "the table is of an earlier version; let the user alter it, or bring it up to date: " + addKeyed
		} else if t.guarantee == guaranteeAuto {
			t.start.Log.Warn("rows are written at least once, not exactly once: positions cannot be kept in the database", "cause", ce.Error())
			return nil
		}
	}
	if err == nil {
		t.offsets = o
	}
	return err
}

// made runs DDL unless the question can be answered already. A look first: what it makes may be there for a user who may
// not make it. And a look behind: another task may have made it at once.
func (t *task) made(ctx context.Context, c conn, question, ddl string) error {
	_, err := c.query(ctx, question)
	if err == nil || t.passes(err) {
		return err
	}
	_, err = c.exec(ctx, ddl)
	if err == nil || t.passes(err) {
		return err
	}
	if _, again := c.query(ctx, question); again == nil {
		return nil
	}
	return err
}

func (t *task) passes(err error) bool { return t.dialect.verdict(err) == passing }

// where is the condition that names the rows of a partition.
func (o *offsets) where(at connectors.TopicPartition) string {
	return fmt.Sprintf("connector = %s AND topic = %s AND part = %d", o.connector, o.dialect.literal(at.Topic), at.Partition)
}

// claim takes partitions over: it counts up their epochs, and reads epochs and positions.
func (o *offsets) claim(ctx context.Context, c conn, parts []*partition) error {
	return o.transact(ctx, c, func() error { return o.claimAll(ctx, c, parts) })
}

// transact does something in a transaction.
func (*offsets) transact(ctx context.Context, c conn, do func() error) error {
	if _, err := c.exec(ctx, "BEGIN"); err != nil {
		return err
	}
	err := do()
	if err == nil {
		_, err = c.exec(ctx, "COMMIT")
		return err
	}
	_, _ = c.exec(context.WithoutCancel(ctx), "ROLLBACK") // the cause is what counts
	return err
}

func (o *offsets) claimAll(ctx context.Context, c conn, parts []*partition) error {
	for _, p := range parts {
		var values []string
		for slot := range slots {
			values = append(values, fmt.Sprintf("(%s, %s, %d, %d, 1, -1)", o.connector, o.dialect.literal(p.at.Topic), p.at.Partition, slot))
		}
		if _, err := c.exec(ctx, o.dialect.claim(strings.Join(values, ", "))); err != nil {
			return err
		}
		rows, err := c.query(ctx, "SELECT slot, epoch, next_offset, keyed FROM "+offsetsTable+" WHERE "+o.where(p.at))
		if err != nil {
			return err
		}
		if len(rows) != slots {
			return fmt.Errorf("%s has %d rows of %s-%d, not %d; it was changed by hand", offsetsTable, len(rows), p.at.Topic, p.at.Partition, slots)
		}
		other := false
		for _, row := range rows {
			other = other || row[3] != o.keyed
			slot, err := strconv.Atoi(row[0])
			epoch, err2 := strconv.ParseInt(row[1], 10, 64)
			next, err3 := strconv.ParseInt(row[2], 10, 64)
			if err := errors.Join(err, err2, err3); err != nil || slot < 0 || slot >= slots {
				return fmt.Errorf("%s has a row (slot %s, epoch %s, next_offset %s) that no task wrote", offsetsTable, row[0], row[1], row[2])
			}
			p.positions[slot], p.epoch = next, epoch
		}
		if other {
			if err := o.rekey(ctx, c, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// rekey notes that the keys of a partition are made otherwise from now on. What one slot has says nothing of the keys
// that are in it now, so all go on at the least position.
func (o *offsets) rekey(ctx context.Context, c conn, p *partition) error {
	least, most := slices.Min(p.positions[:]), slices.Max(p.positions[:])
	if least < most {
		o.log.Warn("some records are written twice: keys are made otherwise now, and a former task had written them in part",
			"topic", p.at.Topic, "partition", p.at.Partition, "from", max(least, 0), "to", most-1)
	}
	for slot := range p.positions {
		p.positions[slot] = least
	}
	_, err := c.exec(ctx, fmt.Sprintf("UPDATE %s SET keyed = %s, next_offset = %d WHERE %s", offsetsTable, o.dialect.literal(o.keyed), least, o.where(p.at)))
	return err
}

// keyMaker says what makes the keys of rows. As long as it is the same, the key of a record is in the same slot.
func (s *settings) keyMaker(config map[string]string) string {
	switch s.keys {
	case keyNone, keyKafka:
		return string(s.keys) // by topic, partition and offset
	}
	h := sha256.New()
	fmt.Fprintln(h, s.address.Kind, s.keys, s.headers, s.zone, s.keyFields)
	for _, name := range slices.Sorted(maps.Keys(config)) {
		part, _, _ := strings.Cut(name, ".")
		if slices.Contains([]string{"transforms", "predicates", "key", "value", "header"}, part) {
			fmt.Fprintln(h, name, config[name])
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// slotSet is a set of slots.
type slotSet uint8

const allSlots slotSet = 1<<slots - 1

func (s slotSet) has(slot uint8) bool { return s>>slot&1 == 1 }

func (s slotSet) String() string {
	var names []string
	for slot := range uint8(slots) {
		if s.has(slot) {
			names = append(names, strconv.Itoa(int(slot)))
		}
	}
	return strings.Join(names, ", ")
}

func (s slotSet) count() int64 {
	n := int64(0)
	for slot := range uint8(slots) {
		if s.has(slot) {
			n++
		}
	}
	return n
}

// advance moves the positions of some slots to the ends of a batch's parts, within the transaction that writes their
// rows. It fails if another task has taken over.
func (o *offsets) advance(ctx context.Context, c conn, parts []part, of slotSet) error {
	for _, p := range parts {
		if p.end < 0 {
			continue // closed
		}
		n, err := c.exec(ctx, fmt.Sprintf("UPDATE %s SET next_offset = CASE WHEN next_offset < %d THEN %d ELSE next_offset END WHERE %s AND epoch = %d AND slot IN (%s)",
			offsetsTable, p.end, p.end, o.where(p.TopicPartition), p.epoch, of))
		if err != nil {
			return err
		}
		if n != of.count() {
			return fenced(p.TopicPartition)
		}
	}
	return nil
}

// committed returns which of some slots a transaction of which the end is not known has committed: their positions are
// where it put them, in all partitions. It is asked within the next transaction, after an update that changes nothing but
// waits for the lock of each row: the commit whose answer was lost may still be under way.
func (o *offsets) committed(ctx context.Context, c conn, parts []part, of slotSet) (slotSet, error) {
	there := of
	for _, p := range parts {
		if p.end < 0 {
			continue
		}
		where := fmt.Sprintf("%s AND epoch = %d AND slot IN (%s)", o.where(p.TopicPartition), p.epoch, of)
		if _, err := c.exec(ctx, "UPDATE "+offsetsTable+" SET epoch = epoch WHERE "+where); err != nil {
			return 0, err
		}
		rows, err := c.query(ctx, fmt.Sprintf("SELECT slot FROM %s WHERE %s AND next_offset >= %d", offsetsTable, where, p.end))
		if err != nil {
			return 0, err
		}
		var here slotSet
		for _, row := range rows {
			slot, err := strconv.ParseUint(row[0], 10, 3)
			if err != nil {
				return 0, err
			}
			here |= 1 << slot
		}
		there &= here
	}
	return there, nil
}
