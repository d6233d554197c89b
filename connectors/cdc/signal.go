package cdc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sluicehub/sluice/configs"
)

// Types of signals. The last two are written by the source itself, around each window of an incremental snapshot.
const (
	ExecuteSnapshot = "execute-snapshot"
	StopSnapshot    = "stop-snapshot"
	PauseSnapshot   = "pause-snapshot"
	ResumeSnapshot  = "resume-snapshot"
	LogSignal       = "log"
	WindowOpen      = "snapshot-window-open"
	WindowClose     = "snapshot-window-close"
)

// SignalData is the data of a signal, whatever its type.
type SignalData struct {
	// Collections are regular expressions of tables, each matching a whole name schema.table.
	Collections []string `json:"data-collections"`
	// Type is "incremental", which is also "", or "blocking".
	Type string `json:"type"`
	// Conditions say by table which rows are meant.
	Conditions []SignalCondition `json:"additional-conditions"`
	// Condition is the older form: for all tables.
	Condition string `json:"additional-condition"`
	// Surrogate is the column to go by in place of the primary key.
	Surrogate string `json:"surrogate-key"`
	Message   string `json:"message"`
}

// SignalCondition is an SQL condition for a table.
type SignalCondition struct {
	Collection string `json:"data-collection"`
	Filter     string `json:"filter"`
}

// ParseSignalData reads the data of a signal; empty data is that of a signal without any.
func ParseSignalData(text string) (SignalData, error) {
	var d SignalData
	if strings.TrimSpace(text) == "" {
		return d, nil
	}
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	if err := dec.Decode(&d); err != nil {
		return d, fmt.Errorf("the data of the signal is not the JSON that it should be: %w", err)
	}
	switch strings.ToLower(d.Type) {
	case "", "incremental", "blocking":
	default:
		return d, fmt.Errorf("the type %q of a snapshot is none of incremental and blocking", d.Type)
	}
	_, err := d.patterns()
	return d, err
}

// Blocking reports whether the snapshot is to hold the stream up.
func (d *SignalData) Blocking() bool { return strings.EqualFold(d.Type, "blocking") }

// patterns compiles each collection by itself: a comma in it is part of the expression.
func (d *SignalData) patterns() ([]Patterns, error) {
	var out []Patterns
	for _, c := range d.Collections {
		p, err := ParsePatterns(strings.ReplaceAll(strings.ReplaceAll(c, `"`, ""), ",", `\,`))
		if err != nil {
			return nil, fmt.Errorf("data-collections: %w", err)
		}
		out = append(out, p)
	}
	return out, nil
}

// condition returns the condition for a table, "" if there is none.
func (d *SignalData) condition(table string) string {
	for _, c := range d.Conditions {
		p, err := ParsePatterns(strings.ReplaceAll(strings.ReplaceAll(c.Collection, `"`, ""), ",", `\,`))
		if err == nil && p.Match(table) {
			return c.Filter
		}
	}
	return d.Condition
}

// parts returns the tables that are meant, in the order of the expressions, and the expressions that mean none.
func (d *SignalData) parts(tables []Table) (parts []Part, without []string, err error) {
	patterns, err := d.patterns()
	if err != nil {
		return nil, nil, err
	}
	taken := map[Table]bool{}
	for i, p := range patterns {
		found := false
		for _, t := range tables {
			if !p.Match(t.String()) {
				continue
			}
			found = true
			if !taken[t] {
				taken[t] = true
				parts = append(parts, Part{Table: t, Condition: d.condition(t.String()), Surrogate: d.Surrogate})
			}
		}
		if !found {
			without = append(without, d.Collections[i])
		}
	}
	return parts, without, nil
}

// SignalKeys are the keys of signals and incremental snapshots, which all database sources share.
func SignalKeys(group string) []configs.Key {
	return []configs.Key{
		{Name: "signal.data.collection", Type: configs.String, Importance: configs.Medium, Group: group, Example: "public.signals",
			Doc: "Table for signals to the running source, written schema.table, with three columns: id, type, data. Rows inserted there ask for snapshots of tables; the source writes its watermarks there."},
		{Name: "signal.enabled.channels", Type: configs.List, Default: "source", Enum: []string{"source", "file", "kafka", "jmx"}, Importance: configs.Medium, Group: group,
			Doc: "Where signals come from: source is the table signal.data.collection, file is signal.file, kafka is signal.kafka.topic. Requests over the REST API are always taken."},
		{Name: "signal.file", Type: configs.String, Default: "file-signals.txt", Group: group, Doc: "File with a signal in each line, which is emptied when it was read."},
		{Name: "signal.poll.interval.ms", Type: configs.Long, Default: "5000", Min: "1", Group: group, Doc: "How often signal.file is read, and how soon signal.kafka.topic is tried again after an error."},
		{Name: "signal.kafka.topic", Type: configs.String, Group: group, Example: "inventory-signal",
			Doc: "Topic with signals in its first partition: the key of a record is topic.prefix, its value a signal as JSON. Without it, topic.prefix and -signal."},
		{Name: "signal.kafka.bootstrap.servers", Type: configs.List, Group: group, Example: "localhost:9092", Doc: "Brokers that have signal.kafka.topic, on a listener without TLS and login."},
		{Name: "signal.kafka.groupId", Type: configs.String, Default: "kafka-signal", Group: group, Doc: "Group under which the place in signal.kafka.topic is kept."},
		{Name: "signal.kafka.poll.timeout.ms", Type: configs.Long, Group: group, Notice: "has no effect here: signals are taken as they come"},
		{Name: "signal.consumer.auto.offset.reset", Type: configs.String, Default: "earliest", Enum: []string{"earliest", "latest"}, Group: group,
			Doc: "Where signal.kafka.topic is read from while signal.kafka.groupId has no place in it."},
		{Name: "signal.consumer.security.protocol", Type: configs.String, Default: "PLAINTEXT", Enum: []string{"PLAINTEXT"}, Group: group,
			Doc: "How the brokers are spoken to. There is one way: without TLS and login."},
		{Name: "signal.consumer.<name>", Type: configs.String, Group: group, Notice: "has no effect here"},
		{Name: "incremental.snapshot.chunk.size", Type: configs.Int, Default: "1024", Min: "1", Max: "1048576", Unit: "rows", Importance: configs.Medium, Group: group,
			Doc: "Most rows of an incremental snapshot that are read at once and held in memory; they also end at 16 MiB."},
		{Name: "incremental.snapshot.watermarking.strategy", Type: configs.String, Default: "INSERT_INSERT", Enum: []string{"INSERT_INSERT", "INSERT_DELETE", "insert_insert", "insert_delete"}, Group: group,
			Doc: "Whether the source removes the watermarks that it has written into the signal table: INSERT_DELETE removes them."},
		{Name: "read.only", Type: configs.Boolean, Default: "false", Group: group,
			Doc: "Writes nothing into the database, no watermarks either; incremental snapshots then go by what the server says of its transactions."},
	}
}

// SignalRules are about the channels that signals come by.
func SignalRules() configs.Rule {
	return configs.Check("signals come by channels that are there", []string{"signal.enabled.channels", "signal.kafka.bootstrap.servers"}, func(v configs.Values) []configs.Problem {
		var out []configs.Problem
		for _, c := range v.List("signal.enabled.channels") {
			switch {
			case c == "jmx":
				out = append(out, configs.KeyWarning("signal.enabled.channels", "No signals come by jmx: POST /api/v1/connectors/NAME/snapshot takes them instead."))
			case c == "kafka" && len(v.List("signal.kafka.bootstrap.servers")) == 0:
				out = append(out, configs.KeyError("signal.kafka.bootstrap.servers", "The channel kafka of signal.enabled.channels needs the brokers that have the topic: signal.kafka.bootstrap.servers=HOST:PORT, of the embedded log its listener's."))
			}
		}
		return out
	})
}
