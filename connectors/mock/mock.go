// Package mock is a source that makes its rows up: to try a sink, and to load a hub. Row n of a table is always the
// same for the same seed, so a test can compute what must arrive, and a restart goes on exactly where it was.
package mock

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// Source is the connector. The zero value is ready.
type Source struct{}

// assignedKey is the key of a task's configuration that names its tables; Plan sets it.
const assignedKey = "mock.assigned.tables"

var definition = &configs.Definition{Keys: []configs.Key{
	{Name: "topic", Type: configs.String, Default: "mock", Importance: configs.High, Group: "Rows", Example: "orders",
		Doc: "Topic of the rows. With more than one table, each has a topic of its own: this name, a dash, and the number of the table."},
	{Name: "tables", Type: configs.Int, Default: "1", Min: "1", Max: "10000", Importance: configs.Medium, Group: "Rows",
		Doc: "Number of tables. Tasks share the tables, so there are at most as many tasks."},
	{Name: "keys", Type: configs.Long, Default: "1000", Min: "1", Importance: configs.Medium, Group: "Rows",
		Doc: "Number of different keys in a table: row n has the key n modulo this number."},
	{Name: "rows", Type: configs.Long, Default: "0", Min: "0", Unit: "rows", Importance: configs.Medium, Group: "Rows",
		Doc: "Number of rows of each table, after which there are no more. 0 goes on for ever."},
	{Name: "rows.per.second", Type: configs.Double, Default: "1000", Min: "0", Unit: "rows", Importance: configs.High, Group: "Load",
		Doc: "Rows of each table in a second. 0 is as fast as they are taken."},
	{Name: "payload.bytes", Type: configs.Int, Default: "64", Min: "0", Max: "16777216", Unit: "bytes", Importance: configs.Medium, Group: "Load",
		Doc: "Size of the text column payload, which makes up for the size of a row."},
	{Name: "batch.size", Type: configs.Int, Default: "5000", Min: "1", Unit: "rows", Importance: configs.Low, Group: "Load",
		Doc: "Largest number of rows handed on at once."},
	{Name: "seed", Type: configs.Long, Default: "1", Importance: configs.Low, Group: "Rows",
		Doc: "Another number gives other rows."},
	{Name: assignedKey, Type: configs.List, Importance: configs.Low, Group: "Rows",
		Doc: "The tables of a task, by number. The connector sets it for its tasks; set by hand, only these tables are made."},
}}

// Info implements connectors.Connector.
func (Source) Info() connectors.Info {
	return connectors.Info{
		Name:    "mock",
		Version: "1.0.0", Kind: connectors.Source, Config: definition,
	}
}

// NewSourceTask implements connectors.SourceConnector.
func (Source) NewSourceTask() connectors.SourceTask { return &task{} }

// Plan deals the tables out to the tasks.
func (Source) Plan(_ context.Context, config map[string]string, maxTasks int) ([]map[string]string, error) {
	values, problems := definition.Parse(config)
	if err := configs.Err(problems); err != nil {
		return nil, configError(err)
	}
	tables, err := assigned(values)
	if err != nil {
		return nil, err
	}
	n := min(maxTasks, len(tables))
	lists := make([][]string, n)
	for i, table := range tables {
		lists[i%n] = append(lists[i%n], strconv.Itoa(table))
	}
	tasks := make([]map[string]string, n)
	for i := range tasks {
		tasks[i] = maps.Clone(config)
		tasks[i][assignedKey] = strings.Join(lists[i], ",")
	}
	return tasks, nil
}

// assigned returns the tables of a configuration.
func assigned(values configs.Values) ([]int, error) {
	all := values.Int("tables")
	list := values.List(assignedKey)
	if len(list) == 0 {
		tables := make([]int, all)
		for i := range tables {
			tables[i] = i
		}
		return tables, nil
	}
	var tables []int
	for _, text := range list {
		i, err := strconv.Atoi(text)
		if err != nil || i < 0 || i >= all {
			return nil, configError(fmt.Errorf("%s: there is no table %q, but %d tables from 0", assignedKey, text, all))
		}
		tables = append(tables, i)
	}
	return tables, nil
}

// AlterOffsets accepts {"table": number} with {"row": number of rows already made}.
func (Source) AlterOffsets(_ context.Context, _ map[string]string, offsets []connectors.SourceOffset) (bool, error) {
	for _, o := range offsets {
		if _, _, err := readOffset(o); err != nil {
			return false, err
		}
	}
	return true, nil
}

type sourcePartition struct {
	Table *int `json:"table"`
}

type sourceOffset struct {
	Row *int64 `json:"row"`
}

// readOffset returns the table, and the next row; 0 for no offset.
func readOffset(o connectors.SourceOffset) (table int, row int64, err error) {
	var p sourcePartition
	if err := json.Unmarshal(o.Partition, &p); err != nil || p.Table == nil {
		return 0, 0, offsetError(fmt.Errorf("source partition %s", o.Partition))
	}
	if o.Offset == nil {
		return *p.Table, 0, nil
	}
	var at sourceOffset
	if err := json.Unmarshal(o.Offset, &at); err != nil || at.Row == nil || *at.Row < 0 {
		return 0, 0, offsetError(fmt.Errorf("source offset %s", o.Offset))
	}
	return *p.Table, *at.Row, nil
}

func offsetError(err error) error {
	return &connectors.Error{Op: "read the source offset", Class: connectors.ClassConfig, Err: err,
		Remedy: `source offsets of this connector look like {"partition":{"table":0},"offset":{"row":1000}}`}
}

func configError(err error) error {
	return &connectors.Error{Op: "read the configuration", Class: connectors.ClassConfig, Err: err}
}
