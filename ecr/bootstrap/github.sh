# Each step looks first, so that it may be run again: it changes what differs, and makes what is missing.
# It takes the apps from the tags of their keys, where app-key.sh has put them, and from their installations.
# Of apps that were made otherwise, give APP and INSTALLATION in the environment, and PREVIEW_APP and
# PREVIEW_INSTALLATION: the client id, and the number at the end of the address of the installation.
organisation=${repository%%/*}

client() { # ALIAS
  number=$(aws kms describe-key --region "$region" --key-id "alias/$1" --query KeyMetadata.KeyId --output text)
  aws kms list-resource-tags --region "$region" --key-id "$number" \
    --query "Tags[?TagKey=='client-id'].TagValue | [0]" --output text
}
installation() { # CLIENT_ID WHAT
  listed=$(gh api "orgs/$organisation/installations?per_page=100" \
    --jq ".installations[] | select(.client_id == \"$1\") | .id")
  if [ -z "$listed" ]; then
    echo "github.sh: the app $1 ($2) is not installed in $organisation; install it, and run this again" >&2
    return 1
  fi
  echo "$listed"
}

# Whether there is a right to each thing, before anything is changed.
rights=$(gh api "repos/$repository" --jq '.permissions.admin')
if [ "$rights" != true ]; then
  echo "github.sh: this token does not administer $repository; log in as an owner of $organisation by" \
    "gh auth login --scopes admin:org_hook,read:org,repo" >&2
  exit 1
fi
if [ -n "$webhook" ] && ! gh api "orgs/$organisation/hooks" > /dev/null 2>&1; then
  echo "github.sh: this token may not read the webhooks of $organisation; give it the scope by" \
    "gh auth refresh --scopes admin:org_hook" >&2
  exit 1
fi

found=$(gh api "repos/$repository" --jq .id)
if [ "$found" != "$repository_id" ]; then
  echo "github.sh: $repository has the id $found, and the roles trust $repository_id; bootstrap again" >&2
  exit 1
fi

APP=${APP:-$(client ecr-estate-app)}
INSTALLATION=${INSTALLATION:-$(installation "$APP" "for all repositories")}
if [ "$two_apps" = true ]; then
  PREVIEW_APP=${PREVIEW_APP:-$(client ecr-estate-preview-app)}
  PREVIEW_INSTALLATION=${PREVIEW_INSTALLATION:-$(installation "$PREVIEW_APP" "for all repositories")}
fi
if [ -n "$webhook" ]; then
  installation "$(client ecr-estate-dispatch)" "for $repository alone" > /dev/null
fi

# The reviewers by their ids, before anything is changed.
listed='[]'
for each in "${reviewers[@]}"; do
  case $each in
    team:*) kind=Team id=$(gh api "orgs/${repository%%/*}/teams/${each#team:}" --jq .id) ;;
    *) kind=User id=$(gh api "users/${each#user:}" --jq .id) ;;
  esac
  listed=$(jq -c --arg type "$kind" --argjson id "$id" '. + [{type: $type, id: $id}]' <<< "$listed")
done

environment() { # NAME REVIEWERS
  jq -n --argjson reviewers "$2" '{
      reviewers: (if $reviewers == [] then null else $reviewers end),
      prevent_self_review: ($reviewers != []),
      deployment_branch_policy: {protected_branches: false, custom_branch_policies: true}
    }' | gh api --method PUT "repos/$repository/environments/$1" --input - > /dev/null
  policies=repos/$repository/environments/$1/deployment-branch-policies
  if [ -z "$(gh api "$policies" --jq '.branch_policies[] | select(.name == "main") | .name')" ]; then
    gh api --method POST "$policies" --raw-field name=main > /dev/null
  fi
  echo "environment $1"
}
environment production '[]'
environment production-guarded "$listed"

# Whoever may push to main deploys: nobody does without a review.
number=$(gh api "repos/$repository/rulesets" --jq '.[] | select(.name == "ecr-estate") | .id')
if [ -n "$number" ]; then
  gh api --method PUT "repos/$repository/rulesets/$number" --input - <<< "$rules" > /dev/null
else
  gh api --method POST "repos/$repository/rulesets" --input - <<< "$rules" > /dev/null
fi
echo "ruleset ecr-estate"

variable() { # NAME VALUE
  gh variable set "$1" --repo "$repository" --body "$2"
  echo "variable $1"
}
variable ECR_ESTATE_STACKS "$stacks"
variable ECR_ESTATE_BACKEND "$backend"
variable ECR_ESTATE_OUTPUTS "$backend/outputs/"
variable ECR_ESTATE_REGION "$region"
variable ECR_ESTATE_PREVIEW_ROLE "$preview_role"
variable ECR_ESTATE_APP "$APP"
variable ECR_ESTATE_APP_INSTALLATION "$INSTALLATION"
variable ECR_ESTATE_APP_KEY "$app_key"
if [ "$two_apps" = true ]; then
  variable ECR_ESTATE_PREVIEW_APP "$PREVIEW_APP"
  variable ECR_ESTATE_PREVIEW_APP_INSTALLATION "$PREVIEW_INSTALLATION"
  variable ECR_ESTATE_PREVIEW_APP_KEY "$preview_app_key"
  variable ECR_ESTATE_VARIABLES true
fi
variable ECR_ESTATE_GUARDED true # its reviewers are above
variable ECR_ESTATE_DEPLOY_ROLE "$deploy_role" # last: with it the workflows begin

# The webhook, by which a repository that is created gets a deployment of its own.
if [ -n "$webhook" ]; then
  url=$(aws cloudformation describe-stacks --region "$region" --stack-name ecr-estate \
    --query "Stacks[0].Outputs[?OutputKey=='WebhookUrl'].OutputValue | [0]" --output text)
  hook=$(gh api "orgs/$organisation/hooks?per_page=100" --jq ".[] | select(.config.url == \"$url\") | .id")
  # By standard input, because arguments are shown to every process of the machine.
  said=$(aws secretsmanager get-secret-value --region "$region" --secret-id "$webhook" --query SecretString \
    --output text | jq -R --arg url "$url" '{name: "web", active: true, events: ["repository"],
      config: {url: $url, content_type: "json", insecure_ssl: "0", secret: .}}')
  if [ -n "$hook" ]; then
    gh api --method PATCH "orgs/$organisation/hooks/$hook" --input - <<< "$said" > /dev/null
  else
    gh api --method POST "orgs/$organisation/hooks" --input - <<< "$said" > /dev/null
  fi
  echo "webhook of $organisation"
fi
