package main

import (
	"strconv"
	"strings"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/log"
	"github.com/sluicehub/sluice/log/broker"
)

// brokerPrefix is before Kafka's names of broker configs in a worker's configuration.
const brokerPrefix = "sluice.kafka.broker."

// brokerDefinition is what can be set of the embedded log's broker.
func brokerDefinition() *configs.Definition {
	types := map[log.ConfigType]configs.Type{log.TypeBoolean: configs.Boolean, log.TypeInt: configs.Int, log.TypeLong: configs.Long,
		log.TypeDouble: configs.Double, log.TypeList: configs.List, log.TypeString: configs.String}
	d := &configs.Definition{}
	for _, s := range broker.Settings() {
		key := configs.Key{Name: s.Name, Type: types[s.Type], Default: s.Default, Group: "Kafka broker", Enum: s.Enum, Doc: s.Doc,
			Check: func(value string) error {
				if value == "" && s.Default == "" {
					return nil
				}
				return s.Check(value)
			}}
		if s.Type == log.TypeInt || s.Type == log.TypeLong {
			key.Min = strconv.FormatInt(s.Min, 10)
		}
		d.Keys = append(d.Keys, key)
	}
	return d.WithPrefix(brokerPrefix, "")
}

// brokerSettings are the broker's settings that differ from the defaults, by Kafka's names. They were checked.
func brokerSettings(v configs.Values) map[string]string {
	given, set := v.Prefixed(brokerPrefix), make(map[string]string)
	for _, s := range broker.Settings() {
		if value := strings.TrimSpace(given[s.Name]); value != "" && value != s.Default {
			set[s.Name] = value
		}
	}
	return set
}
