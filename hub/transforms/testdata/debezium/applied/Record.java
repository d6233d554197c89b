import com.fasterxml.jackson.databind.*;
import com.fasterxml.jackson.databind.node.*;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import org.apache.kafka.connect.data.*;
import org.apache.kafka.connect.header.*;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.transforms.Transformation;

/**
 * Records what real transforms make of the records in the files given. The first line of a file names schemas; every
 * other one is a record, which gets its member out anew.
 *
 *   java -cp 'KAFKA/libs/*:DEBEZIUM/*' Record.java *.jsonl
 *
 * with the jars of Kafka Connect 4.3.0 and of debezium-connector-postgres and -mysql 3.5.0.Final.
 */
public class Record {
    static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] files) throws Exception {
        for (String file : files) {
            List<String> lines = Files.readAllLines(Path.of(file));
            JsonNode schemas = JSON.readTree(lines.get(0)).get("schemas");
            for (int i = 1; i < lines.size(); i++) {
                ObjectNode test = (ObjectNode) JSON.readTree(lines.get(i));
                test.set("out", apply(test, schemas));
                lines.set(i, JSON.writeValueAsString(test));
            }
            Files.write(Path.of(file), lines);
        }
    }

    @SuppressWarnings("unchecked")
    static JsonNode apply(ObjectNode test, JsonNode schemas) throws Exception {
        ObjectNode out = JSON.createObjectNode();
        try (JsonConverter in = new JsonConverter(); JsonConverter back = new JsonConverter()) {
            in.configure(Map.of("replace.null.with.default", "false"), false);
            back.configure(Map.of("replace.null.with.default", "false"), false);
            Map<String, String> config = JSON.convertValue(test.get("config"), Map.class);
            SchemaAndValue key = read(in, test.get("key"), schemas), value = read(in, test.get("value"), schemas);
            SourceRecord record = new SourceRecord(Map.of(), Map.of(), test.get("topic").asText(), null, key.schema(), key.value(), value.schema(), value.value());
            Transformation<SourceRecord> transform = (Transformation<SourceRecord>) Class.forName(config.get("type")).getDeclaredConstructor().newInstance();
            transform.configure(config);
            record = transform.apply(record);
            if (record == null) {
                return out.put("dropped", true);
            }
            out.put("topic", record.topic());
            if (record.kafkaPartition() != null) {
                out.put("partition", record.kafkaPartition());
            }
            out.set("key", write(back, record.keySchema(), record.key(), schemas));
            out.set("value", write(back, record.valueSchema(), record.value(), schemas));
            ArrayNode headers = out.putArray("headers");
            for (Header h : record.headers()) {
                headers.addObject().put("key", h.key()).set("value", write(back, h.schema(), h.value(), schemas));
            }
            return out;
        } catch (Exception e) {
            String message = e.getMessage();
            for (Throwable cause = e.getCause(); cause != null; cause = cause.getCause()) {
                message += ": " + cause.getMessage();
            }
            out.removeAll();
            return out.put("error", message);
        }
    }

    static SchemaAndValue read(JsonConverter c, JsonNode node, JsonNode schemas) throws Exception {
        if (node == null || node.isNull()) {
            return SchemaAndValue.NULL;
        }
        ObjectNode whole = node.deepCopy();
        whole.set("schema", schemas.get(node.get("schema").asText()));
        SchemaAndValue d = c.toConnectData("t", JSON.writeValueAsBytes(whole));
        return new SchemaAndValue(d.schema(), buffers(d.value()));
    }

    /** Debezium's sources have bytes in buffers. */
    static Object buffers(Object value) {
        if (value instanceof byte[] b) {
            return ByteBuffer.wrap(b);
        }
        if (value instanceof Struct s) {
            for (Field f : s.schema().fields()) {
                s.put(f, buffers(s.getWithoutDefault(f.name())));
            }
        }
        return value;
    }

    /** The schema is written as its name, if it is one of the file. */
    static JsonNode write(JsonConverter c, Schema schema, Object value, JsonNode schemas) throws Exception {
        byte[] b = c.fromConnectData("t", schema, value);
        if (b == null) {
            return NullNode.getInstance();
        }
        ObjectNode out = (ObjectNode) JSON.readTree(new String(b, StandardCharsets.UTF_8));
        schemas.fields().forEachRemaining(s -> {
            if (s.getValue().equals(out.get("schema"))) {
                out.put("schema", s.getKey());
            }
        });
        return out;
    }
}
