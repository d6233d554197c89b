#!/bin/sh
# Makes the certificates and stores of this folder anew, valid for a hundred years: a CA, a server at 127.0.0.1 and a
# client, each in PEM, and as Java's keytool writes them in JKS and PKCS#12. The stores' passwords are "store-secret",
# that of the key in client.jks is "key-secret".
set -eu
cd "$(dirname "$0")"
rm -f ./*.pem ./*.jks ./*.p12
days=36500
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days $days -subj "/CN=Test CA" -keyout ca.key -out ca.pem
for name in server client; do
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" -keyout $name.key -out $name.csr
	printf 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=%sAuth\n' $name >$name.ext
	openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days $days -extfile $name.ext -out $name.crt
	cat $name.crt $name.key >$name.pem
done
openssl pkcs12 -export -in client.pem -certfile ca.pem -name client -passout pass:store-secret -out client.p12
for type in JKS PKCS12; do
	file=trust.$(echo $type | sed 's/PKCS12/p12/; s/JKS/jks/')
	keytool -importcert -noprompt -alias ca -file ca.pem -keystore "$file" -storetype $type -storepass store-secret
done
keytool -importkeystore -srckeystore client.p12 -srcstoretype PKCS12 -srcstorepass store-secret -srcalias client \
	-destkeystore client.jks -deststoretype JKS -deststorepass store-secret -destkeypass key-secret
rm -f ./*.key ./*.csr ./*.crt ./*.ext ./*.srl
