# Puts an app's private key into AWS KMS, with openssl alone, and destroys the file.
#   app-key.sh CODE [ALIAS]
#   app-key.sh FILE.pem ALIAS CLIENT_ID
# CODE is what GitHub gave when the app was made from its manifest; it is good for an hour, and once. The
# client id is kept as a tag of the key, where github.sh and the webhook find it.
# AWS KMS Developer Guide, "Importing key material": the key is wrapped by a key of 256 bits for AES, and
# that by the public key of AWS, because a private key of 2,048 bits is too long for the latter.
pem=${1:?give the file with the private key of the app, or the code that GitHub gave}
key=alias/${2:-ecr-estate-app}
client=${3:-}
umask 077
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if [ ! -f "$pem" ]; then
  gh api --method POST "app-manifests/$pem/conversions" > "$folder/app.json"
  client=$(jq -r .client_id "$folder/app.json")
  echo "app-key.sh: the client id is $client; install the app at $(jq -r .html_url "$folder/app.json")/installations/new"
  pem=$folder/app.pem
  jq -r .pem "$folder/app.json" > "$pem"
  rm "$folder/app.json"
fi
pem=$(realpath "$pem")
cd "$folder"

# 1. What AWS wraps with, for the next 24 hours.
number=$(aws kms describe-key --region "$region" --key-id "$key" --query KeyMetadata.KeyId --output text)
aws kms get-parameters-for-import --region "$region" --key-id "$number" --wrapping-key-spec RSA_4096 \
  --wrapping-algorithm RSA_AES_KEY_WRAP_SHA_256 --output json > parameters.json
jq -r .PublicKey parameters.json | openssl base64 -d -A > public.der
jq -r .ImportToken parameters.json | openssl base64 -d -A > token.bin

# 2. GitHub gives PKCS #1 as text; AWS takes PKCS #8 as it is.
openssl pkcs8 -topk8 -nocrypt -in "$pem" -outform DER -out app.der

# 3. The app's key is wrapped by a new one, and that one by the key of AWS.
openssl rand -out aes.bin 32
openssl enc -id-aes256-wrap-pad -iv A65959A6 -K "$(od -An -vtx1 aes.bin | tr -d ' \n')" \
  -in app.der -out app.wrapped
openssl pkeyutl -encrypt -in aes.bin -out aes.wrapped -pubin -inkey public.der -keyform DER \
  -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256
cat aes.wrapped app.wrapped > material.bin

# 4. AWS takes it in, for ever.
aws kms import-key-material --region "$region" --key-id "$number" --expiration-model KEY_MATERIAL_DOES_NOT_EXPIRE \
  --encrypted-key-material fileb://material.bin --import-token fileb://token.bin > /dev/null

if [ -n "$client" ]; then
  aws kms tag-resource --region "$region" --key-id "$number" --tags "TagKey=client-id,TagValue=$client"
fi

# 5. Nobody has it any more but AWS KMS.
if command -v shred > /dev/null; then shred -u "$pem"; else rm -f "$pem"; fi
echo "app-key.sh: $key of account $account has the key; $pem is gone"
