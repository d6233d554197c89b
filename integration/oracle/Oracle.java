import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.nio.charset.StandardCharsets;
import org.apache.avro.NameValidator;
import org.apache.avro.Schema;
import org.apache.avro.SchemaCompatibility;
import org.apache.avro.SchemaNormalization;

/** Answers each line of standard input, {"schema": S} or {"reader": S, "writer": S}, with a line of what Avro says. */
public class Oracle {
  private static final ObjectMapper JSON = new ObjectMapper();

  public static void main(String[] args) throws Exception {
    var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    var out = new BufferedWriter(new OutputStreamWriter(System.out, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      JsonNode question = JSON.readTree(line);
      ObjectNode answer = JSON.createObjectNode();
      try {
        if (question.has("schema")) {
          describe(parse(question.get("schema")), answer);
        } else {
          compare(parse(question.get("reader")), parse(question.get("writer")), answer);
        }
      } catch (Exception | StackOverflowError e) {
        answer.put("error", e.getClass().getSimpleName() + ": " + e.getMessage());
      }
      out.write(JSON.writeValueAsString(answer));
      out.newLine();
    }
    out.flush();
  }

  private static Schema parse(JsonNode text) {
    return new Schema.Parser(NameValidator.STRICT_VALIDATOR).parse(text.asText());
  }

  private static void describe(Schema schema, ObjectNode answer) {
    answer.put("text", schema.toString());
    answer.put("canonical", SchemaNormalization.toParsingForm(schema));
    answer.put("fingerprint", Long.toHexString(SchemaNormalization.parsingFingerprint64(schema)));
  }

  private static void compare(Schema reader, Schema writer, ObjectNode answer) {
    ArrayNode found = answer.putArray("incompatibilities");
    var result = SchemaCompatibility.checkReaderWriterCompatibility(reader, writer).getResult();
    for (var i : result.getIncompatibilities()) {
      found.addArray().add(i.getType().toString()).add(i.getLocation()).add(i.getMessage());
    }
  }
}
