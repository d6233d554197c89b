"""Round trips through the serializers of confluent-kafka-python: confluent_serializers.py URL."""
import json
import sys

from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

client = SchemaRegistryClient({'url': sys.argv[1]})
same = SchemaRegistryClient({'url': sys.argv[1]})  # one that has nothing cached


def context(topic):
    return SerializationContext(topic, MessageField.VALUE)


def refuses(code, call):
    try:
        call()
    except SchemaRegistryError as e:
        assert e.error_code == code, e
    else:
        raise AssertionError('not refused')


# Avro, as a producer registers it, and with a reference to another subject.
order = {'type': 'record', 'name': 'Order', 'namespace': 'shop',
         'fields': [{'name': 'id', 'type': 'long'}, {'name': 'note', 'type': ['null', 'string'], 'default': None}]}
sent = {'id': 7, 'note': 'é'}
data = AvroSerializer(client, json.dumps(order))(sent, context('orders'))
assert data[:5] == b'\0\0\0\0\1', data
assert AvroDeserializer(same)(data, context('orders')) == sent

client.register_schema('shop.Order', Schema(json.dumps(order), 'AVRO'))
both = Schema(json.dumps({'type': 'record', 'name': 'Pair', 'namespace': 'shop',
                          'fields': [{'name': 'a', 'type': 'Order'}, {'name': 'b', 'type': 'shop.Order'}]}),
              'AVRO', [SchemaReference('shop.Order', 'shop.Order', 1)])
pair = {'a': sent, 'b': {'id': 8, 'note': None}}
data = AvroSerializer(client, both)(pair, context('pairs'))
assert AvroDeserializer(same)(data, context('pairs')) == pair
assert same.get_latest_version('pairs-value').schema.references[0].name == 'shop.Order'

# What a client that does not register looks up, and what does not fit.
serializer = AvroSerializer(same, json.dumps(order), conf={'auto.register.schemas': False, 'normalize.schemas': True})
assert serializer(sent, context('orders'))[:5] == b'\0\0\0\0\1'
broken = dict(order, fields=order['fields'] + [{'name': 'must', 'type': 'int'}])
refuses(409, lambda: client.register_schema('orders-value', Schema(json.dumps(broken), 'AVRO')))
assert not client.test_compatibility('orders-value', Schema(json.dumps(broken), 'AVRO'))
refuses(40401, lambda: client.get_latest_version('nobody'))
refuses(40403, lambda: client.get_schema(4711))

# JSON Schema, with a reference.
address = {'$id': 'address.json', 'type': 'object', 'properties': {'city': {'type': 'string'}}, 'required': ['city']}
client.register_schema('address', Schema(json.dumps(address), 'JSON'))
person = Schema(json.dumps({'$schema': 'http://json-schema.org/draft-07/schema#', '$id': 'person.json', 'title': 'Person', 'type': 'object',
                            'properties': {'name': {'type': 'string'}, 'address': {'$ref': 'address.json'}}}),
                'JSON', [SchemaReference('address.json', 'address', 1)])
sent = {'name': 'Ada', 'address': {'city': 'London'}}
data = JSONSerializer(person, client)(sent, context('people'))
assert JSONDeserializer(person, schema_registry_client=same)(data, context('people')) == sent
try:
    JSONSerializer(person, client)({'address': {}}, context('people'))
    raise AssertionError('not validated against what the schema refers to')
except AssertionError:
    raise
except Exception as e:
    assert 'city' in str(e), e

# Protobuf: the client sends the file's descriptor, and registers what it imports under the subject of its name.
pool = descriptor_pool.DescriptorPool()
common = descriptor_pb2.FileDescriptorProto(name='common.proto', package='shop', syntax='proto3')
money = common.message_type.add(name='Money')
money.field.add(name='cents', number=1, type=3, label=1)
pool.Add(common)
invoice = descriptor_pb2.FileDescriptorProto(name='invoice.proto', package='shop', syntax='proto3', dependency=['common.proto'])
message = invoice.message_type.add(name='Invoice')
message.field.add(name='id', number=1, type=9, label=1)
message.field.add(name='total', number=2, type=11, type_name='.shop.Money', label=1)
message.field.add(name='lines', number=3, type=9, label=3)
pool.Add(invoice)
Invoice = message_factory.GetMessageClass(pool.FindMessageTypeByName('shop.Invoice'))
sent = Invoice(id='i', lines=['a', 'b'])
sent.total.cents = 1999
data = ProtobufSerializer(Invoice, client, {'use.deprecated.format': False})(sent, context('invoices'))
got = ProtobufDeserializer(Invoice, {'use.deprecated.format': False}, schema_registry_client=same)(data, context('invoices'))
assert got == sent, got
assert [r.name for r in same.get_latest_version('invoices-value').schema.references] == ['common.proto']
assert 'import "common.proto";' in same.get_latest_version('invoices-value').schema.schema_str

# The rest of the client.
assert 'orders-value' in client.get_subjects()
assert client.get_versions('orders-value') == [1]
client.set_compatibility('orders-value', 'FULL')
assert client.get_compatibility('orders-value') == 'FULL'
assert client.lookup_schema('orders-value', Schema(json.dumps(order), 'AVRO')).version == 1
client.register_schema('spare', Schema('"string"', 'AVRO'))
refuses(40405, lambda: client.delete_subject('spare', permanent=True))
assert client.delete_subject('spare') == [1]
assert client.delete_subject('spare', permanent=True) == [1]
print('ok')
