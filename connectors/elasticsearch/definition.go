package elasticsearch

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors/tlsstore"
)

// Groups of keys, as in Confluent's documentation.
const (
	groupConnector  = "Connector"
	groupConversion = "Data Conversion"
	groupResource   = "External Resources"
	groupSecurity   = "Security"
	groupProxy      = "Proxy"
)

// Keys about TLS stand behind httpsPrefix.
const httpsPrefix = "elastic.https."

// definition declares the keys of Confluent's sink. Not among them: Kerberos, and data streams but for being refused.
var definition = configs.Concat(ownDefinition, tlsstore.Definition().WithPrefix(httpsPrefix, groupSecurity))

var ownDefinition = &configs.Definition{
	Keys: []configs.Key{
		{Name: "connection.url", Type: configs.List, Required: true, Importance: configs.High, Group: groupConnector, Width: configs.WidthLong,
			DisplayName: "Connection URLs", Example: "http://localhost:9200", Check: checkURLs,
			Doc: "Addresses of the cluster, with http:// or https://. Requests go to all of them in turn."},
		{Name: "connection.username", Type: configs.String, Importance: configs.Medium, Group: groupConnector, DisplayName: "Connection Username",
			Doc: "User to authenticate with. Needs connection.password."},
		{Name: "connection.password", Type: configs.Password, Importance: configs.Medium, Group: groupConnector, DisplayName: "Connection Password",
			Doc: "The user's password."},
		{Name: "connection.api.key", Type: configs.Password, Importance: configs.Medium, Group: groupConnector, DisplayName: "API key",
			Doc: "An Elasticsearch API key, as the server encodes it, in place of user and password."},
		{Name: "batch.size", Type: configs.Int, Default: "2000", Min: "1", Max: "1000000", Importance: configs.Medium, Group: groupConnector,
			DisplayName: "Batch Size", Doc: "Largest number of documents in a bulk request."},
		{Name: "bulk.size.bytes", Type: configs.Int, Default: "5242880", Min: "-1", Unit: "bytes", Importance: configs.Low, Group: groupConnector,
			DisplayName: "Bulk Size", Doc: "Size at which a bulk request is sent; -1 for no limit but batch.size."},
		{Name: "max.in.flight.requests", Type: configs.Int, Default: "5", Min: "1", Max: "1000", Importance: configs.Medium, Group: groupConnector,
			DisplayName: "Max In-flight Requests", Doc: "Bulk requests under way at once. Documents keep their order whatever the number."},
		{Name: "max.buffered.records", Type: configs.Int, Default: "20000", Min: "1", Importance: configs.Low, Group: groupConnector,
			DisplayName: "Max Buffered Records", Doc: "Records that a task holds before it waits for the cluster."},
		{Name: "linger.ms", Type: configs.Long, Default: "1", Min: "0", Importance: configs.Low, Group: groupConnector,
			DisplayName: "Linger", Doc: "How long records wait for others to share a bulk request."},
		{Name: "flush.timeout.ms", Type: configs.Long, Default: "180000", Min: "1", Importance: configs.Low, Group: groupConnector,
			DisplayName: "Flush Timeout", Doc: "How long a flush may take."},
		{Name: "flush.synchronously", Type: configs.Boolean, Default: "false", Importance: configs.Low, Group: groupConnector,
			DisplayName: "Flush Synchronously", Notice: "flush.synchronously has no effect: progress is exact with transforms that rename topics, too.",
			Doc: "Confluent's switch for transforms that rename topics."},
		{Name: "max.retries", Type: configs.Int, Default: "5", Min: "0", Importance: configs.Low, Group: groupConnector, DisplayName: "Max Retries",
			Doc: "How often something is sent again before the trouble shows in the status, at the latest after 3 seconds. It is sent again until the cluster takes it."},
		{Name: "retry.backoff.ms", Type: configs.Long, Default: "100", Min: "0", Importance: configs.Low, Group: groupConnector,
			DisplayName: "Retry Backoff", Doc: "Wait before the first retry; it doubles with each, and is chosen at random up to that."},
		{Name: "connection.compression", Type: configs.Boolean, Default: "false", Importance: configs.Low, Group: groupConnector,
			DisplayName: "Compression", Doc: "Whether requests are compressed with gzip."},
		{Name: "connection.timeout.ms", Type: configs.Int, Default: "1000", Min: "1", Importance: configs.Low, Group: groupConnector,
			DisplayName: "Connection Timeout", Doc: "How long making a connection may take."},
		{Name: "read.timeout.ms", Type: configs.Int, Default: "30000", Min: "1", Importance: configs.Low, Group: groupConnector, DisplayName: "Read Timeout",
			Doc: "How long a request may go without anything moving. Confluent's default of 3 seconds cuts off large bulk requests to a busy cluster."},
		{Name: "max.connection.idle.time.ms", Type: configs.Int, Default: "60000", Min: "1", Importance: configs.Low, Group: groupConnector,
			DisplayName: "Max Connection Idle Time", Doc: "How long an unused connection is kept."},

		{Name: "key.ignore", Type: configs.Boolean, Default: "false", Importance: configs.High, Group: groupConversion, DisplayName: "Ignore Key mode",
			Doc: "Whether the document's id is topic+partition+offset in place of the record's key."},
		{Name: "schema.ignore", Type: configs.Boolean, Default: "false", Importance: configs.Low, Group: groupConversion, DisplayName: "Ignore Schema mode",
			Doc: "Whether Elasticsearch finds the mapping by itself. Otherwise a new index gets one made from the record's schema."},
		{Name: "topic.key.ignore", Type: configs.List, DefaultEmpty: true, Importance: configs.Low, Group: groupConversion, DisplayName: "Topics for 'Ignore Key' mode",
			Doc: "Topics for which key.ignore is true."},
		{Name: "topic.schema.ignore", Type: configs.List, DefaultEmpty: true, Importance: configs.Low, Group: groupConversion,
			DisplayName: "Topics for 'Ignore Schema' mode", Doc: "Topics for which schema.ignore is true."},
		{Name: "compact.map.entries", Type: configs.Boolean, Default: "true", Importance: configs.Low, Group: groupConversion, DisplayName: "Compact Map Entries",
			Doc: "Whether maps with string keys become objects; otherwise an array of {\"key\", \"value\"}."},
		{Name: "drop.invalid.message", Type: configs.Boolean, Default: "false", Importance: configs.Low, Group: groupConversion, DisplayName: "Drop invalid messages",
			Doc: "Whether a record that cannot be made a document is dropped, with a line in the log, in place of failing."},
		{Name: "behavior.on.null.values", Type: configs.String, Default: "FAIL", Enum: []string{"FAIL", "IGNORE", "DELETE"}, Importance: configs.Low,
			Group: groupConversion, DisplayName: "Behavior for null-valued records", Doc: "What a record with a key and a null value does. DELETE deletes the document."},
		{Name: "behavior.on.malformed.documents", Type: configs.String, Default: "FAIL", Enum: []string{"FAIL", "IGNORE", "WARN"}, Importance: configs.Low,
			Group: groupConversion, DisplayName: "Behavior on malformed documents",
			Doc: "What a document does that Elasticsearch refuses. FAIL follows errors.tolerance: the task fails, or the record goes to the dead-letter topic."},
		{Name: "write.method", Type: configs.String, Default: "INSERT", Enum: []string{"INSERT", "UPSERT"}, Importance: configs.Low, Group: groupConversion,
			DisplayName: "Write Method", Doc: "INSERT replaces the document, UPSERT changes the fields that the record has."},
		{Name: "use.autogenerated.ids", Type: configs.Boolean, Default: "false", Importance: configs.Medium, Group: groupConversion,
			DisplayName: "Use auto generated document ids", Doc: "Whether Elasticsearch chooses the ids. A record that is sent twice is then two documents."},
		{Name: "external.version.header", Type: configs.String, DefaultEmpty: true, Importance: configs.Low, Group: groupConversion,
			DisplayName: "External Version Header", Doc: "Header with the version of the document, a number; without it the version is the record's offset."},

		{Name: "external.resource.usage", Type: configs.String, Default: "DISABLED", Enum: []string{"DISABLED", "INDEX", "ALIAS_INDEX"}, Importance: configs.Medium,
			Group: groupResource, DisplayName: "External resource usage", Doc: "Whether topics go to indices or aliases that exist and are named in topic.to.external.resource.mapping."},
		{Name: "topic.to.external.resource.mapping", Type: configs.List, DefaultEmpty: true, Importance: configs.Low, Group: groupResource,
			DisplayName: "Topic to external resource mapping", Example: "orders:orders-write", Check: checkMapping, Doc: "Pairs topic:resource."},
		{Name: "topic.index.map", Type: configs.List, DefaultEmpty: true, Importance: configs.Low, Group: groupResource, DisplayName: "Topic to index map", Check: checkMapping,
			Notice: "topic.index.map is of versions before 11 of Confluent's sink; the transform org.apache.kafka.connect.transforms.RegexRouter names indices there since",
			Doc:    "Pairs topic:index. Other than external resources, an index that is not there is made."},
		{Name: "type.name", Type: configs.String, Importance: configs.Low, Group: groupResource, DisplayName: "Type Name",
			Notice: "type.name has no effect: indices have no types since Elasticsearch 7.", Doc: "Older key of Confluent's sink."},

		{Name: "data.stream.type", Type: configs.String, Default: "NONE", Enum: []string{"NONE"}, Importance: configs.Low, Group: groupResource,
			DisplayName: "Data Stream Type", Doc: "Only NONE: there are no data streams here, and what is meant for one must not end in an index."},

		{Name: "elastic.security.protocol", Type: configs.String, Default: "PLAINTEXT", Enum: []string{"PLAINTEXT", "SSL"}, Importance: configs.Medium,
			Group: groupSecurity, DisplayName: "Security protocol", Doc: "SSL for https addresses with a truststore or keystore."},
		{Name: "proxy.host", Type: configs.String, DefaultEmpty: true, Importance: configs.Low, Group: groupProxy, DisplayName: "Proxy Host", Doc: "Host of an HTTP proxy."},
		{Name: "proxy.port", Type: configs.Int, Default: "8080", Min: "1", Max: "65535", Importance: configs.Low, Group: groupProxy, DisplayName: "Proxy Port", Doc: "Port of the HTTP proxy."},
		{Name: "proxy.username", Type: configs.String, DefaultEmpty: true, Importance: configs.Low, Group: groupProxy, DisplayName: "Proxy Username", Doc: "User for the proxy."},
		{Name: "proxy.password", Type: configs.Password, Importance: configs.Low, Group: groupProxy, DisplayName: "Proxy Password", Doc: "Password for the proxy."},
	},
	Rules: []configs.Rule{
		configs.Requires("connection.username", "connection.password"),
		configs.Requires("connection.password", "connection.username"),
		configs.AtMostOne("connection.username", "connection.api.key"),
		configs.Check("auto-generated ids leave nothing to update or delete by", []string{"use.autogenerated.ids", "write.method", "behavior.on.null.values"},
			func(v configs.Values) []configs.Problem {
				if !v.Bool("use.autogenerated.ids") {
					return nil
				}
				if v.String("write.method") == "UPSERT" {
					return []configs.Problem{configs.KeyWarning("use.autogenerated.ids", "use.autogenerated.ids has no effect with write.method=UPSERT: the ids are those of the records")}
				}
				if v.String("behavior.on.null.values") == "DELETE" {
					return []configs.Problem{configs.KeyError("use.autogenerated.ids", "use.autogenerated.ids and behavior.on.null.values=DELETE exclude each other")}
				}
				return nil
			}),
		configs.Check("external resources are named", []string{"external.resource.usage", "topic.to.external.resource.mapping"},
			func(v configs.Values) []configs.Problem {
				used := v.String("external.resource.usage") != "DISABLED"
				if used == (len(v.List("topic.to.external.resource.mapping")) > 0) {
					return nil
				}
				return []configs.Problem{configs.KeyError("external.resource.usage",
					"external.resource.usage and topic.to.external.resource.mapping go together: set both or neither")}
			}),
		configs.Check("a record fits into the buffer", []string{"batch.size", "max.buffered.records"}, func(v configs.Values) []configs.Problem {
			if v.Int("max.buffered.records") < v.Int("batch.size") {
				return []configs.Problem{configs.KeyError("max.buffered.records",
					fmt.Sprintf("max.buffered.records (%d) must not be smaller than batch.size (%d)", v.Int("max.buffered.records"), v.Int("batch.size")))}
			}
			return nil
		}),
	},
}

// checkURLs accepts a list of http and https addresses.
func checkURLs(list string) error {
	for text := range strings.SplitSeq(list, ",") {
		u, err := url.Parse(strings.TrimSpace(text))
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return errors.New("must be addresses with http:// or https:// and a host, such as http://localhost:9200")
		}
	}
	return nil
}

// checkMapping accepts a list of topic:resource.
func checkMapping(list string) error {
	if list == "" {
		return nil
	}
	for pair := range strings.SplitSeq(list, ",") {
		topic, resource, ok := strings.Cut(pair, ":")
		if !ok || strings.TrimSpace(topic) == "" || strings.TrimSpace(resource) == "" {
			return errors.New("must be pairs topic:resource")
		}
	}
	return nil
}
