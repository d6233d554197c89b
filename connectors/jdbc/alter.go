package jdbc

import (
	"context"
	"fmt"
	"slices"

	"github.com/sluicehub/sluice/connectors"
)

var _ connectors.OffsetAlterer = Sink{}

// AlterOffsets implements connectors.OffsetAlterer. The positions in the database count for more than the consumer
// group's, so they become what a person wrote; after a reset there are none, and the group's count. Where no positions
// are kept there is nothing to do.
func (Sink) AlterOffsets(ctx context.Context, config map[string]string, to []connectors.SourceOffset) (bool, error) {
	s, err := parseSettings(config)
	if err != nil || s.guarantee == guaranteeLeast {
		return err == nil, err
	}
	t := task{settings: s}
	if t.dialect, err = newDialect(&t.settings); err != nil {
		return false, &connectors.Error{Op: "read the configuration", Class: connectors.ClassConfig, Err: err}
	}
	defer func() {
		if t.control != nil {
			t.control.close()
		}
	}()
	o := &offsets{dialect: t.dialect, connector: t.dialect.literal(config["name"])}
	err = t.ask(ctx, "alter the positions in "+offsetsTable, func(c conn) error {
		if _, err := c.query(ctx, anyOffsets); err != nil && !t.passes(err) {
			return nil // there is no such table, or the user may not read it: then no task keeps positions there
		}
		return o.alter(ctx, c, to)
	})
	return err == nil, err
}

// alter sets the positions of partitions, -1 for none. It counts up their epochs, so that a task that still has one of
// them cannot write any more.
func (o *offsets) alter(ctx context.Context, c conn, to []connectors.SourceOffset) error {
	var statements []string
	set := func(at int64, where string) {
		statements = append(statements, fmt.Sprintf("UPDATE %s SET epoch = epoch + 1, next_offset = %d WHERE %s", offsetsTable, at, where))
	}
	if len(to) == 0 {
		set(-1, "connector = "+o.connector)
	}
	for _, s := range to {
		var tp connectors.GroupPartition
		at := connectors.GroupOffset{Offset: -1}
		err := connectors.UnmarshalOffset(s.Partition, &tp)
		if err == nil && s.Offset != nil {
			err = connectors.UnmarshalOffset(s.Offset, &at)
		}
		if err != nil {
			return &connectors.Error{Op: "read the offset", Class: connectors.ClassConfig, Err: fmt.Errorf("%s, %s: %w", s.Partition, s.Offset, err),
				Remedy: `offsets of a sink look like {"partition":{"kafka_topic":"orders","kafka_partition":0},"offset":{"kafka_offset":7}}`}
		}
		set(at.Offset, o.where(connectors.TopicPartition(tp)))
	}
	return o.transact(ctx, c, func() error {
		_, err := c.exec(ctx, statements...)
		return err
	})
}

// again reports whether records come that the database had when the partition was opened. The hub reads on at its
// position, so the topic is another one, or it lost its end: they must not be taken for those that are there.
func (t *task) again(p *partition, records *connectors.Records) error {
	least := slices.Min(p.positions[:])
	if t.offsets == nil || len(records.List) == 0 || records.List[0].Offset >= least {
		return nil
	}
	return &connectors.Error{Op: fmt.Sprintf("put records of %s-%d", p.at.Topic, p.at.Partition), Class: connectors.ClassGone,
		Err: fmt.Errorf("they begin at offset %d, and the database has all up to %d: the topic was made again, or has lost its end", records.List[0].Offset, least),
		Remedy: fmt.Sprintf("PUT /connectors/%s/stop, DELETE /connectors/%[1]s/offsets, PUT /connectors/%[1]s/resume: the topic is then read from its beginning. "+
			"Rows that are there from before stay; without a primary key and insert.mode=upsert those that come again are there twice", t.start.Connector)}
}
